#include "train/token_source.h"

#include <algorithm>
#include <stdexcept>

#include "text/number_text.h"
#include "train/data_format.h"
#include "train/megatron_index.h"
#include "train/token_check.h"

namespace lighthouse::train {
namespace {

constexpr uint64_t kLlmCHeader = 256 * sizeof(int32_t);
constexpr int32_t kLlmCUint16 = 20240520;  // files of GPT-2 tokens
constexpr int32_t kLlmCUint32 = 20240801;  // files of Llama-3 tokens
constexpr int64_t kMostUint16 = 1 << 16;   // tokens of a vocabulary

[[noreturn]] void fail_tokens(const std::filesystem::path& path, const std::string& what) {
  throw std::runtime_error(path.string() + ": " + what);
}

bool is_llm_c(int32_t magic) { return magic == kLlmCUint16 || magic == kLlmCUint32; }

/// What a user may not expect of text that is read as bytes.
std::string text_remark(const std::filesystem::path& path, const FileSample& sample) {
  if (sample.head().starts_with("\xEF\xBB\xBF")) return "begins with a byte-order mark, which is read as text";
  const auto extension = path.extension();
  if (extension == ".jsonl" || extension == ".json") return "is read as it stands, JSON's signs and escapes included";
  return is_utf8(sample) ? "" : "is no UTF-8 text, and is read as bytes all the same";
}

}  // namespace

TokenSource::TokenSource(const std::filesystem::path& path, DataFormat format, int64_t vocab_size)
    : path_(path), vocab_size_(vocab_size) {
  const io::PiecewiseFile file(path);
  state_ = file.state();
  const FileSample sample = take_sample(file);
  read_format(sample, format);
  const uint64_t width = size_of(type_);
  if ((state_.size - header_) % width != 0) {
    fail_tokens(path_, "expected tokens of " + text::count_of(static_cast<int64_t>(width), "byte") + " (" +
                           name_of(type_) + "); got " +
                           text::count_of(static_cast<int64_t>(state_.size - header_), "byte") +
                           ", which is no whole number of them");
  }
  num_tokens_ = static_cast<int64_t>((state_.size - header_) / width);
  if (is_text()) return;
  const bool says_its_type = format_ == DataFormat::kLlmC || format_ == DataFormat::kMegatron;
  expect_tokens(path_, sample, {type_, header_, says_its_type, format == DataFormat::kAuto && !says_its_type},
                vocab_size);
}

void TokenSource::read_format(const FileSample& sample, DataFormat format) {
  format_ = format == DataFormat::kAuto ? found_format(sample) : format;
  switch (format_) {
    case DataFormat::kAuto:
    case DataFormat::kBytes: return;
    case DataFormat::kText:
      expect_text(path_, sample, format == DataFormat::kAuto);
      remark_ = text_remark(path_, sample);
      return;
    case DataFormat::kUint16: type_ = TokenType::kUint16; break;
    case DataFormat::kUint32: type_ = TokenType::kUint32; break;
    case DataFormat::kLlmC: return read_llm_c_header(sample);
    case DataFormat::kMegatron: type_ = check_megatron_index(megatron_index_of(path_), path_, state_.size); return;
  }
  expect_no_other_format(path_, sample);
}

DataFormat TokenSource::found_format(const FileSample& sample) const {
  if (lower_extension(path_) != ".bin") return DataFormat::kText;
  if (std::filesystem::exists(megatron_index_of(path_))) return DataFormat::kMegatron;
  if (is_llm_c(sample.number<int32_t>(0))) return DataFormat::kLlmC;
  return vocab_size_ > kMostUint16 ? DataFormat::kUint32 : DataFormat::kUint16;
}

/// Numbers of the header: a magic one that says the width, the version, the count of tokens.
void TokenSource::read_llm_c_header(const FileSample& sample) {
  if (state_.size < kLlmCHeader) {
    fail_tokens(path_, "expected llm.c's header of " + std::to_string(kLlmCHeader) + " bytes; the file has " +
                           std::to_string(state_.size));
  }
  const auto magic = sample.number<int32_t>(0);
  if (!is_llm_c(magic)) {
    expect_no_other_format(path_, sample);
    fail_tokens(path_, "expected llm.c's number " + std::to_string(kLlmCUint16) + " or " + std::to_string(kLlmCUint32) +
                           " at the start; got " + std::to_string(magic));
  }
  type_ = magic == kLlmCUint16 ? TokenType::kUint16 : TokenType::kUint32;
  const auto version = sample.number<int32_t>(1);
  const int32_t known = magic == kLlmCUint16 ? 1 : 7;
  if (version != known) {
    fail_tokens(path_,
                "expected version " + std::to_string(known) + " in llm.c's header; got " + std::to_string(version));
  }
  const int64_t said = sample.number<int32_t>(2);
  const auto present = static_cast<int64_t>((state_.size - kLlmCHeader) / size_of(type_));
  if (said != present) {
    fail_tokens(path_,
                "the header says " + text::count_of(said, "token") + "; the file has " + std::to_string(present));
  }
  header_ = kLlmCHeader;
}

std::string TokenSource::format_name() const {
  switch (format_) {
    case DataFormat::kText: return "text";
    case DataFormat::kBytes: return "bytes";
    case DataFormat::kLlmC: return std::string("llm.c's ") + name_of(type_);
    case DataFormat::kMegatron: return std::string("Megatron's ") + name_of(type_);
    default: return name_of(type_);
  }
}

void TokenSource::keep() {
  std::vector<uint8_t> bytes(static_cast<size_t>(state_.size));
  read_bytes(0, state_.size, bytes.data());
  memory_ = std::move(bytes);
}

void TokenSource::read_bytes(uint64_t offset, uint64_t count, void* out) const {
  if (memory_) {
    std::copy_n(memory_->data() + offset, count, static_cast<uint8_t*>(out));
    return;
  }
  const io::PiecewiseFile file(path_);
  file.expect(state_);
  file.read(offset, count, out);
}

void TokenSource::read(int64_t begin, int64_t count, int64_t* out) const {
  const uint64_t width = size_of(type_);
  std::vector<uint8_t> bytes(static_cast<uint64_t>(count) * width);
  read_bytes(header_ + static_cast<uint64_t>(begin) * width, bytes.size(), bytes.data());
  read_tokens(type_, bytes.data(), count, out);
  const int64_t* const beyond =
      std::find_if(out, out + count, [&](int64_t token) { return token < 0 || token >= vocab_size_; });
  if (beyond != out + count) {
    throw std::runtime_error(
        beyond_vocabulary(path_, static_cast<uint64_t>(begin + (beyond - out)), *beyond, vocab_size_));
  }
}

void TokenSource::add_to(io::Checksum& checksum, bool all_bytes, const std::function<void(uint64_t)>& on_bytes) const {
  const uint64_t size = state_.size;
  checksum.add(size);
  const bool is_signed = type_ == TokenType::kInt16 || type_ == TokenType::kInt32 || type_ == TokenType::kInt64;
  checksum.add(size_of(type_) + (is_signed ? 16 : 0));
  if (memory_) {
    checksum.add(memory_->data(), size);
    if (on_bytes) on_bytes(size);
    return;
  }
  constexpr uint64_t kPiece = 64 << 10;
  constexpr uint64_t kPieces = 32;
  constexpr uint64_t kAtOnce = 4 << 20;
  const io::PiecewiseFile file(path_);
  file.expect(state_);
  std::vector<uint8_t> bytes;
  const auto add = [&](uint64_t offset, uint64_t count) {
    bytes.resize(static_cast<size_t>(count));
    file.read(offset, count, bytes.data());
    checksum.add(bytes.data(), bytes.size());
    if (on_bytes) on_bytes(count);
  };
  if (all_bytes || size <= kPiece * kPieces) {
    for (uint64_t offset = 0; offset < size; offset += kAtOnce) add(offset, std::min(kAtOnce, size - offset));
    io::PiecewiseFile(path_).expect(state_);
    return;
  }
  for (uint64_t i = 0; i < kPieces; ++i) add((size - kPiece) / (kPieces - 1) * i, kPiece);
}

}  // namespace lighthouse::train
