#include "train/token_check.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "train/data_format.h"
#include "train/text_tokens.h"

namespace lighthouse::train {
namespace {

namespace fs = std::filesystem;

/// Numbers of the sample and the place of the first one of each piece in the file.
struct Numbers {
  struct Run {
    uint64_t place;
    std::vector<int64_t> values;
  };
  std::vector<Run> runs;
  size_t count = 0;

  template <typename Test>
  bool all(const Test& test) const {
    return std::all_of(runs.begin(), runs.end(), [&](const Run& run) {
      for (size_t i = 0; i < run.values.size(); ++i) {
        if (!test(run.place + i, run.values[i])) return false;
      }
      return true;
    });
  }
};

/// A piece's rest that is no whole number is left out: only the file's last one has any.
Numbers numbers_of(const FileSample& sample, TokenType type, uint64_t header) {
  Numbers numbers;
  const uint64_t width = size_of(type);
  for (const auto& piece : sample.pieces) {
    const uint64_t begin = std::max(piece.offset, header);
    if (begin >= piece.offset + piece.bytes.size()) continue;
    const uint64_t count = (piece.offset + piece.bytes.size() - begin) / width;
    std::vector<int64_t> values(static_cast<size_t>(count));
    read_tokens(type, piece.bytes.data() + (begin - piece.offset), static_cast<int64_t>(count), values.data());
    numbers.count += values.size();
    numbers.runs.push_back({(begin - header) / width, std::move(values)});
  }
  return numbers;
}

/// Numbers of twice the width, all small: every other half is 0, and not all of the others are.
bool are_halves(const Numbers& numbers) {
  constexpr size_t kEnough = 16;
  const bool zeros = numbers.all([](uint64_t place, int64_t value) { return place % 2 == 0 || value == 0; });
  return numbers.count >= kEnough && zeros && !numbers.all([](uint64_t, int64_t value) { return value == 0; });
}

bool fit(const Numbers& numbers, int64_t vocab_size) {
  constexpr size_t kEnough = 8;
  return numbers.count >= kEnough &&
         numbers.all([&](uint64_t, int64_t value) { return value >= 0 && value < vocab_size; });
}

/// Whether the numbers are tokens once their bytes are turned round.
bool fit_turned_round(const FileSample& sample, const TokenLayout& layout, int64_t vocab_size) {
  const uint64_t width = size_of(layout.type);
  if (width == 1) return false;
  FileSample turned = sample;
  for (auto& piece : turned.pieces) {
    for (size_t i = 0; i + width <= piece.bytes.size(); i += width) {
      std::reverse(piece.bytes.begin() + static_cast<std::ptrdiff_t>(i),
                   piece.bytes.begin() + static_cast<std::ptrdiff_t>(i + width));
    }
  }
  return fit(numbers_of(turned, layout.type, layout.header), vocab_size);
}

/// What numbers beyond the vocabulary may be instead, and what to do then.
std::string explanation(const FileSample& sample, const TokenLayout& layout, int64_t vocab_size) {
  if (fit_turned_round(sample, layout, vocab_size)) {
    return ". The file's numbers look big-endian; expected little-endian ones: write them again, with NumPy: "
           "array.astype(\"<u" +
           std::to_string(size_of(layout.type)) + "\").tofile(...)";
  }
  if (layout.says_its_type) return "";
  if (looks_like_text(sample)) return ". The file looks like text: data.format = \"text\" reads it as such";
  for (const TokenType other : {TokenType::kUint16, TokenType::kUint32}) {
    if (other == layout.type || sample.size % size_of(other) != 0) continue;
    if (!fit(numbers_of(sample, other, layout.header), vocab_size)) continue;
    return std::string(". The file was read as ") + name_of(layout.type) +
           (layout.guessed ? ", the width that the vocabulary asks for" : ", as data.format says") + "; as " +
           name_of(other) + " its numbers fit: if they are, set data.format = \"" + name_of(other) + "\"";
  }
  return vocab_size <= kMostByteTokens ? ". If each byte is a token, set data.format = \"bytes\"" : "";
}

/// Throws where the numbers are wider than their type.
void expect_width(const fs::path& path, const FileSample& sample, TokenType type) {
  const bool wide = are_halves(numbers_of(sample, type, 0));
  if (!wide) return;
  const bool int64 = type == TokenType::kUint32 || are_halves(numbers_of(sample, TokenType::kUint32, 0));
  const std::string seen = path.string() + ": expected numbers of " + name_of(type) +
                           "; every other one is 0, so that they look like " + (int64 ? "int64" : "uint32 or int32");
  throw std::runtime_error(seen + (int64
                                       ? ", which is not read. Write them again, with NumPy: numpy.fromfile(\"" +
                                             path.filename().string() + "\", \"int64\").astype(\"uint32\").tofile(...)"
                                       : ". Set data.format = \"uint32\""));
}

}  // namespace

std::string beyond_vocabulary(const fs::path& path, uint64_t place, int64_t token, int64_t vocab_size) {
  return path.string() + ": token " + std::to_string(place) + " is " + std::to_string(token) +
         "; expected one from 0 to below model.vocab_size, " + std::to_string(vocab_size);
}

void expect_tokens(const fs::path& path, const FileSample& sample, const TokenLayout& layout, int64_t vocab_size) {
  if (!layout.says_its_type) expect_width(path, sample, layout.type);
  if (layout.guessed && looks_like_text(sample)) {
    throw std::runtime_error(
        path.string() +
        " looks like text, and its name (.bin) is one of token numbers. Set data.format = \"text\" to "
        "read it as text, or to \"uint16\" or \"uint32\" if it does hold numbers");
  }
  for (const auto& run : numbers_of(sample, layout.type, layout.header).runs) {
    const auto beyond = std::find_if(run.values.begin(), run.values.end(),
                                     [&](int64_t value) { return value < 0 || value >= vocab_size; });
    if (beyond == run.values.end()) continue;
    throw std::runtime_error(
        beyond_vocabulary(path, run.place + static_cast<uint64_t>(beyond - run.values.begin()), *beyond, vocab_size) +
        explanation(sample, layout, vocab_size));
  }
}

}  // namespace lighthouse::train
