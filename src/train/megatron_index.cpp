#include "train/megatron_index.h"

#include <array>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>

#include "io/mapped_file.h"

namespace lighthouse::train {
namespace {

constexpr std::array<char, 9> kMagic = {'M', 'M', 'I', 'D', 'I', 'D', 'X', '\0', '\0'};
constexpr uint64_t kVersion = 1;
constexpr uint64_t kHeader = kMagic.size() + 8 + 1 + 8 + 8;

[[noreturn]] void fail_index(const std::filesystem::path& path, const std::string& what) {
  throw std::runtime_error(path.string() + ": " + what);
}

/// Number `index` of an unaligned array that begins at `bytes`.
template <typename T>
T number_at(const uint8_t* bytes, uint64_t index = 0) {
  T value;
  std::memcpy(&value, bytes + index * sizeof(T), sizeof(T));
  return value;
}

/// Megatron's numbers for numpy's types; floating-point ones are no tokens.
std::optional<TokenType> token_type(uint8_t code) {
  switch (code) {
    case 1: return TokenType::kUint8;
    case 3: return TokenType::kInt16;
    case 4: return TokenType::kInt32;
    case 5: return TokenType::kInt64;
    case 8: return TokenType::kUint16;
    default: return std::nullopt;
  }
}

struct Header {
  TokenType type;
  uint64_t sequences;
  uint64_t bounds;
};

Header read_header(const io::MappedFile& file) {
  const auto& path = file.path();
  if (file.size() < kHeader || std::memcmp(file.bytes(), kMagic.data(), kMagic.size()) != 0) {
    fail_index(path, "expected a Megatron index, a file that begins with MMIDIDX and has at least " +
                         std::to_string(kHeader) + " bytes; got " + std::to_string(file.size()) +
                         " bytes of something else");
  }
  const uint8_t* const numbers = file.bytes() + kMagic.size();
  const auto version = number_at<uint64_t>(numbers);
  if (version != kVersion) fail_index(path, "expected version 1 of the index; got " + std::to_string(version));
  const uint8_t code = numbers[8];
  const auto type = token_type(code);
  if (!type) {
    fail_index(path, "expected tokens of type 1 (uint8), 3 (int16), 4 (int32), 5 (int64) or 8 (uint16); got " +
                         std::to_string(code));
  }
  return {*type, number_at<uint64_t>(numbers + 9), number_at<uint64_t>(numbers + 17)};
}

/// Sequence after sequence, without gaps, to the end of the tokens' file.
void check_sequences(const io::MappedFile& file, const Header& header, const std::filesystem::path& tokens,
                     uint64_t bytes) {
  const uint8_t* const lengths = file.bytes() + kHeader;
  const uint8_t* const pointers = lengths + header.sequences * sizeof(int32_t);
  uint64_t expected = 0;
  for (uint64_t i = 0; i < header.sequences; ++i) {
    const auto length = number_at<int32_t>(lengths, i);
    const auto pointer = number_at<int64_t>(pointers, i);
    const std::string name = "sequence " + std::to_string(i);
    if (length < 0) fail_index(file.path(), name + " has a length of " + std::to_string(length));
    if (pointer < 0 || static_cast<uint64_t>(pointer) != expected) {
      fail_index(file.path(), name + " begins at byte " + std::to_string(pointer) + "; expected " +
                                  std::to_string(expected) + ", where the one before it ends");
    }
    expected += static_cast<uint64_t>(length) * size_of(header.type);
  }
  if (expected != bytes) {
    fail_index(file.path(), "its sequences end at byte " + std::to_string(expected) + "; " + tokens.string() + " has " +
                                std::to_string(bytes));
  }
}

/// Bounds of documents rise from 0 to the count of sequences.
void check_bounds(const io::MappedFile& file, const Header& header) {
  const uint8_t* const bounds = file.bytes() + kHeader + header.sequences * (sizeof(int32_t) + sizeof(int64_t));
  int64_t before = 0;
  for (uint64_t i = 0; i < header.bounds; ++i) {
    const auto bound = number_at<int64_t>(bounds, i);
    if (bound < before || static_cast<uint64_t>(bound) > header.sequences) {
      fail_index(file.path(), "document bound " + std::to_string(i) + " is " + std::to_string(bound) + "; expected " +
                                  std::to_string(before) + " to " + std::to_string(header.sequences));
    }
    before = bound;
  }
}

}  // namespace

std::filesystem::path megatron_index_of(const std::filesystem::path& tokens) {
  std::filesystem::path index = tokens;
  return index.replace_extension(".idx");
}

TokenType check_megatron_index(const std::filesystem::path& index, const std::filesystem::path& tokens,
                               uint64_t bytes) {
  const io::MappedFile file(index);
  const Header header = read_header(file);
  // Counts that cannot be are refused before they are multiplied.
  const uint64_t most = file.size() / sizeof(int32_t);
  const uint64_t needed = header.sequences > most || header.bounds > most
                              ? 0
                              : kHeader + header.sequences * 12 + header.bounds * sizeof(int64_t);
  if (needed != file.size()) {
    fail_index(index, "its header says " + std::to_string(header.sequences) + " sequences and " +
                          std::to_string(header.bounds) + " document bounds; the file's " +
                          std::to_string(file.size()) + " bytes hold another number");
  }
  check_sequences(file, header, tokens, bytes);
  check_bounds(file, header);
  file.expect_unchanged();
  return header.type;
}

}  // namespace lighthouse::train
