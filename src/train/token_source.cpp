#include "train/token_source.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <string>

#include "train/megatron_index.h"

namespace lighthouse::train {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are little-endian");

constexpr uint64_t kMappedFrom = 1 << 20;  // bytes
constexpr uint64_t kLlmCHeader = 256 * sizeof(int32_t);
constexpr int32_t kLlmCUint16 = 20240520;  // files of GPT-2 tokens
constexpr int32_t kLlmCUint32 = 20240801;  // files of Llama-3 tokens

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
  throw std::runtime_error(path.string() + ": " + what);
}

int32_t int32_at(const uint8_t* bytes, size_t index) {
  int32_t value = 0;
  std::memcpy(&value, bytes + index * sizeof(value), sizeof(value));
  return value;
}

template <typename Token>
void copy_tokens(const uint8_t* bytes, int64_t count, int64_t* out) {
  for (int64_t i = 0; i < count; ++i) {
    Token token;
    std::memcpy(&token, bytes + static_cast<size_t>(i) * sizeof(Token), sizeof(Token));
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

TokenSource::TokenSource(const std::filesystem::path& path, DataFormat format) : path_(path) {
  io::MappedFile file(path);
  size_ = file.size();
  if (size_ >= kMappedFrom) {
    mapped_.push_back(std::move(file));
  } else {
    memory_.assign(file.bytes(), file.bytes() + size_);
    file.expect_unchanged();
  }

  if (format == DataFormat::kAuto) format = found_format();
  if (format == DataFormat::kUint16) type_ = TokenType::kUint16;
  if (format == DataFormat::kUint32) type_ = TokenType::kUint32;
  if (format == DataFormat::kLlmC) read_llm_c_header();
  if (format == DataFormat::kMegatron) type_ = check_megatron_index(megatron_index_of(path_), path_, size_);
  const uint64_t width = size_of(type_);
  if ((size_ - header_) % width != 0) {
    fail(path_, "expected tokens of " + std::to_string(width) + " bytes; got " + std::to_string(size_ - header_) +
                    " bytes, which is no whole number of them");
  }
  num_tokens_ = static_cast<int64_t>((size_ - header_) / width);
}

DataFormat TokenSource::found_format() const {
  if (path_.extension() != ".bin") return DataFormat::kText;
  if (std::filesystem::exists(megatron_index_of(path_))) return DataFormat::kMegatron;
  const int32_t magic = size_ >= kLlmCHeader ? int32_at(bytes(), 0) : 0;
  return magic == kLlmCUint16 || magic == kLlmCUint32 ? DataFormat::kLlmC : DataFormat::kUint16;
}

/// Numbers of the header: a magic one that says the width, the version, the count of tokens.
void TokenSource::read_llm_c_header() {
  if (size_ < kLlmCHeader) {
    fail(path_,
         "expected llm.c's header of " + std::to_string(kLlmCHeader) + " bytes; the file has " + std::to_string(size_));
  }
  const int32_t magic = int32_at(bytes(), 0);
  if (magic != kLlmCUint16 && magic != kLlmCUint32) {
    fail(path_, "expected llm.c's number " + std::to_string(kLlmCUint16) + " or " + std::to_string(kLlmCUint32) +
                    " at the start; got " + std::to_string(magic));
  }
  type_ = magic == kLlmCUint16 ? TokenType::kUint16 : TokenType::kUint32;
  const int32_t version = int32_at(bytes(), 1);
  const int32_t known = magic == kLlmCUint16 ? 1 : 7;
  if (version != known) {
    fail(path_, "expected version " + std::to_string(known) + " in llm.c's header; got " + std::to_string(version));
  }
  const int64_t said = int32_at(bytes(), 2);
  const auto present = static_cast<int64_t>((size_ - kLlmCHeader) / size_of(type_));
  if (said != present) {
    fail(path_, "the header says " + std::to_string(said) + " tokens; the file has " + std::to_string(present));
  }
  header_ = kLlmCHeader;
}

void TokenSource::read(int64_t begin, int64_t count, int64_t vocab_size, int64_t* out) const {
  if (!mapped_.empty()) mapped_.front().expect_unchanged();
  const uint8_t* first = bytes() + header_ + static_cast<uint64_t>(begin) * size_of(type_);
  switch (type_) {
    case TokenType::kUint8: copy_tokens<uint8_t>(first, count, out); break;
    case TokenType::kUint16: copy_tokens<uint16_t>(first, count, out); break;
    case TokenType::kUint32: copy_tokens<uint32_t>(first, count, out); break;
    case TokenType::kInt16: copy_tokens<int16_t>(first, count, out); break;
    case TokenType::kInt32: copy_tokens<int32_t>(first, count, out); break;
    case TokenType::kInt64: copy_tokens<int64_t>(first, count, out); break;
  }
  const int64_t* const beyond =
      std::find_if(out, out + count, [&](int64_t token) { return token < 0 || token >= vocab_size; });
  if (beyond != out + count) {
    fail(path_, "token " + std::to_string(begin + (beyond - out)) + " is " + std::to_string(*beyond) +
                    "; expected one from 0 to below model.vocab_size, " + std::to_string(vocab_size));
  }
}

void TokenSource::add_to(io::Checksum& checksum, bool all_bytes) const {
  checksum.add(size_);
  const bool is_signed = type_ == TokenType::kInt16 || type_ == TokenType::kInt32 || type_ == TokenType::kInt64;
  checksum.add(size_of(type_) + (is_signed ? 16 : 0));
  if (!mapped_.empty()) mapped_.front().expect_unchanged();
  constexpr uint64_t kPiece = 64 << 10;
  constexpr uint64_t kPieces = 32;
  if (all_bytes || size_ <= kPiece * kPieces) {
    checksum.add(bytes(), size_);
    return;
  }
  for (uint64_t i = 0; i < kPieces; ++i) checksum.add(bytes() + (size_ - kPiece) / (kPieces - 1) * i, kPiece);
}

}  // namespace lighthouse::train
