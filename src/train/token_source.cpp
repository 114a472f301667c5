#include "train/token_source.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <string>

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

TokenSource::TokenSource(const std::filesystem::path& path, DataFormat format) : path_(path) {
  io::MappedFile file(path);
  size_ = file.size();
  if (size_ >= kMappedFrom) {
    mapped_.push_back(std::move(file));
  } else {
    memory_.assign(file.bytes(), file.bytes() + size_);
    file.expect_unchanged();
  }

  if (format == DataFormat::kAuto) {
    const bool tokens = path.extension() == ".bin";
    const int32_t magic = tokens && size_ >= kLlmCHeader ? int32_at(bytes(), 0) : 0;
    format = magic == kLlmCUint16 || magic == kLlmCUint32 ? DataFormat::kLlmC
             : tokens                                     ? DataFormat::kUint16
                                                          : DataFormat::kText;
  }
  if (format == DataFormat::kUint16) width_ = TokenWidth::kUint16;
  if (format == DataFormat::kUint32) width_ = TokenWidth::kUint32;
  if (format == DataFormat::kLlmC) read_llm_c_header();
  const uint64_t width = static_cast<uint64_t>(width_);
  if ((size_ - header_) % width != 0) {
    fail(path_, "expected tokens of " + std::to_string(width) + " bytes; got " + std::to_string(size_ - header_) +
                    " bytes, which is no whole number of them");
  }
  num_tokens_ = static_cast<int64_t>((size_ - header_) / width);
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
  width_ = magic == kLlmCUint16 ? TokenWidth::kUint16 : TokenWidth::kUint32;
  const int32_t version = int32_at(bytes(), 1);
  const int32_t known = magic == kLlmCUint16 ? 1 : 7;
  if (version != known) {
    fail(path_, "expected version " + std::to_string(known) + " in llm.c's header; got " + std::to_string(version));
  }
  const int64_t said = int32_at(bytes(), 2);
  const auto present = static_cast<int64_t>((size_ - kLlmCHeader) / static_cast<uint64_t>(width_));
  if (said != present) {
    fail(path_, "the header says " + std::to_string(said) + " tokens; the file has " + std::to_string(present));
  }
  header_ = kLlmCHeader;
}

void TokenSource::read(int64_t begin, int64_t count, int64_t vocab_size, int64_t* out) const {
  if (!mapped_.empty()) mapped_.front().expect_unchanged();
  const uint8_t* first = bytes() + header_ + static_cast<uint64_t>(begin) * static_cast<uint64_t>(width_);
  switch (width_) {
    case TokenWidth::kByte: copy_tokens<uint8_t>(first, count, out); break;
    case TokenWidth::kUint16: copy_tokens<uint16_t>(first, count, out); break;
    case TokenWidth::kUint32: copy_tokens<uint32_t>(first, count, out); break;
  }
  const int64_t* const beyond = std::find_if(out, out + count, [&](int64_t token) { return token >= vocab_size; });
  if (beyond != out + count) {
    fail(path_, "token " + std::to_string(begin + (beyond - out)) + " is " + std::to_string(*beyond) +
                    "; expected one below model.vocab_size, " + std::to_string(vocab_size));
  }
}

void TokenSource::add_to(io::Checksum& checksum, bool all_bytes) const {
  checksum.add(size_);
  checksum.add(static_cast<uint64_t>(width_));
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
