#include "train/token_type.h"

#include <bit>

namespace lighthouse::train {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are little-endian");

template <typename Token>
void copy_tokens(const void* bytes, int64_t count, int64_t* out) {
  for (int64_t i = 0; i < count; ++i) {
    Token token;
    std::memcpy(&token, static_cast<const char*>(bytes) + static_cast<size_t>(i) * sizeof(Token), sizeof(Token));
    out[i] = static_cast<int64_t>(token);
  }
}

}  // namespace

uint64_t size_of(TokenType type) {
  switch (type) {
    case TokenType::kUint8: return 1;
    case TokenType::kUint16:
    case TokenType::kInt16: return 2;
    case TokenType::kUint32:
    case TokenType::kInt32: return 4;
    case TokenType::kInt64: return 8;
  }
  return 0;
}

const char* name_of(TokenType type) {
  switch (type) {
    case TokenType::kUint8: return "uint8";
    case TokenType::kUint16: return "uint16";
    case TokenType::kUint32: return "uint32";
    case TokenType::kInt16: return "int16";
    case TokenType::kInt32: return "int32";
    case TokenType::kInt64: return "int64";
  }
  return "";
}

void read_tokens(TokenType type, const void* bytes, int64_t count, int64_t* out) {
  switch (type) {
    case TokenType::kUint8: return copy_tokens<uint8_t>(bytes, count, out);
    case TokenType::kUint16: return copy_tokens<uint16_t>(bytes, count, out);
    case TokenType::kUint32: return copy_tokens<uint32_t>(bytes, count, out);
    case TokenType::kInt16: return copy_tokens<int16_t>(bytes, count, out);
    case TokenType::kInt32: return copy_tokens<int32_t>(bytes, count, out);
    case TokenType::kInt64: return copy_tokens<int64_t>(bytes, count, out);
  }
}

}  // namespace lighthouse::train
