#include "train/toml_text.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace lighthouse::train {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEF";

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
  if (text.find("u0025") != std::string::npos || text.find("U00000025") != std::string::npos) {
    throw std::invalid_argument(source +
                                ": beside letters beyond ASCII, expected % as itself; got it as an escape, \\u0025");
  }
  toml::table table = toml::parse(to_ascii(text), source);
  restore(table);
  return table;
}

}  // namespace lighthouse::train
