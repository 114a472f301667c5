// How files store the numbers of tokens.
#pragma once

#include <cstdint>
#include <cstring>

namespace lighthouse::train {

/// Little-endian, all of them.
enum class TokenType { kUint8, kUint16, kUint32, kInt16, kInt32, kInt64 };

/// Bytes of a token.
uint64_t size_of(TokenType type);
/// "uint16"
const char* name_of(TokenType type);

/// Writes `count` tokens to `out`.
void read_tokens(TokenType type, const void* bytes, int64_t count, int64_t* out);

}  // namespace lighthouse::train
