#include "train/toml_text.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "text/number_text.h"
#include "text/utf8.h"

namespace lighthouse::train {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEF";

void check_utf8(std::string_view toml, const std::string& source) {
  int64_t line = 1;
  while (!toml.empty()) {
    const size_t size = text::letter_size(toml);
    if (size == 0) throw std::invalid_argument(source + ":" + std::to_string(line) + ": expected UTF-8");
    line += toml.front() == '\n';
    toml.remove_prefix(size);
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

std::string quoted_text(std::string_view value) {
  if (!text::is_utf8(value))
    throw std::invalid_argument("a configuration holds UTF-8 text only; got " + text::visible(value));
  std::string quoted = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7F) {
      quoted += std::string("\\u00") + kDigits[byte / 16] + kDigits[byte % 16];
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string key_text(const toml::key& key) {
  const std::string_view name = key.str();
  const bool bare = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return c < 128 && (std::isalnum(c) != 0 || c == '_' || c == '-');
  });
  return bare ? std::string(name) : quoted_text(name);
}

std::string number_text(double value) {
  const std::string digits = text::shortest(value);
  // Without a point or an exponent it would be a whole number.
  return digits.find_first_not_of("-0123456789") == std::string::npos ? digits + ".0" : digits;
}

std::string array_text(const toml::array& array) {
  constexpr size_t kLine = 100;
  std::string line;
  std::string lines;
  for (const auto& item : array) {
    const std::string text = to_toml_text(item);
    line += (line.empty() ? "" : ", ") + text;
    lines += "\n    " + text + ",";
  }
  return line.size() <= kLine ? "[" + line + "]" : "[" + lines + "\n]";
}

std::string inline_table_text(const toml::table& table) {
  std::string text;
  for (const auto& [key, value] : table)
    text += (text.empty() ? "" : ", ") + key_text(key) + " = " + to_toml_text(value);
  return "{" + text + "}";
}

bool is_section(const toml::node& node) {
  const auto* const array = node.as_array();
  return node.is_table() || (array != nullptr && array->is_array_of_tables());
}

/// Values first, then the tables within, each under its whole name.
void add_table(const toml::table& table, const std::string& name, std::string& out) {
  for (const auto& [key, value] : table) {
    if (is_section(value)) continue;
    out += key_text(key) + " = " + to_toml_text(value) + "\n";
  }
  for (const auto& [key, value] : table) {
    if (!is_section(value)) continue;
    const std::string inside = name + (name.empty() ? "" : ".") + key_text(key);
    if (const auto* const one = value.as_table()) {
      out += "\n[" + inside + "]\n";
      add_table(*one, inside, out);
    } else {
      for (const auto& item : *value.as_array()) {
        out += "\n[[" + inside + "]]\n";
        add_table(*item.as_table(), inside, out);
      }
    }
  }
}

}  // namespace

std::string to_toml_text(const toml::node& value) {
  if (const auto* const number = value.as_floating_point()) return number_text(number->get());
  if (const auto* const text = value.as_string()) return quoted_text(text->get());
  if (const auto* const array = value.as_array()) return array_text(*array);
  if (const auto* const table = value.as_table()) return inline_table_text(*table);
  std::ostringstream text;
  value.visit([&](const auto& one) {
    if constexpr (toml::is_value<decltype(one)>) text << one;
  });
  return text.str();
}

std::string to_toml_document(const toml::table& root) {
  std::string text;
  add_table(root, "", text);
  return text;
}

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
