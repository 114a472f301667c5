#include "train/toml_text.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace lighthouse::train {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEF";

/// Bytes of the UTF-8 letter that `text` begins with; 0 where it is none.
size_t letter_size(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const size_t size = first >= 0xC2 && first < 0xE0   ? 2
                      : first >= 0xE0 && first < 0xF0 ? 3
                      : first >= 0xF0 && first < 0xF5 ? 4
                                                      : 0;
  for (size_t i = 1; i < size; ++i) {
    if (byte(i) < 0x80 || byte(i) >= 0xC0) return 0;
  }
  // Longer than need be, halves of pairs, beyond the last letter.
  const bool wrong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) >= 0xA0) ||
                     (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) >= 0x90);
  return wrong ? 0 : size;
}

void check_utf8(std::string_view text, const std::string& source) {
  int64_t line = 1;
  while (!text.empty()) {
    const size_t size = letter_size(text);
    if (size == 0) throw std::invalid_argument(source + ":" + std::to_string(line) + ": expected UTF-8");
    line += text.front() == '\n';
    text.remove_prefix(size);
  }
}

/// Bytes beyond ASCII, and %, as % and two digits.
std::string to_ascii(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::string ascii;
  ascii.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 128 && c != '%') {
      ascii += c;
    } else {
      ascii += {'%', kDigits[byte / 16], kDigits[byte % 16]};
    }
  }
  return ascii;
}

std::string from_ascii(std::string_view ascii) {
  std::string text;
  for (size_t i = 0; i < ascii.size(); ++i) {
    const size_t high = ascii[i] == '%' && i + 2 < ascii.size() ? kDigits.find(ascii[i + 1]) : std::string_view::npos;
    const size_t low = high != std::string_view::npos ? kDigits.find(ascii[i + 2]) : std::string_view::npos;
    if (low == std::string_view::npos) {
      text += ascii[i];  // as an escape such as "\u0025" has it
    } else {
      text += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return text;
}

void restore(toml::node& node) {
  if (auto* const table = node.as_table()) {
    for (auto&& [key, value] : *table) restore(value);
  } else if (auto* const array = node.as_array()) {
    for (auto&& value : *array) restore(value);
  } else if (auto* const text = node.as_string()) {
    std::string restored = from_ascii(text->get());
    text->get() = std::move(restored);
  }
}

}  // namespace

toml::table parse_toml(const std::string& text, const std::string& source) {
  if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 128; })) {
    return toml::parse(text, source);
  }
  check_utf8(text, source);
  if (text.find("u0025") != std::string::npos || text.find("U00000025") != std::string::npos) {
    throw std::invalid_argument(source +
                                ": beside letters beyond ASCII, expected % as itself; got it as an escape, \\u0025");
  }
  toml::table table = toml::parse(to_ascii(text), source);
  restore(table);
  return table;
}

}  // namespace lighthouse::train
