#include "text/utf8.h"

#include <algorithm>
#include <cstdint>

namespace lighthouse::text {
namespace {

unsigned byte_at(std::string_view text, size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; }

/// Bytes that a letter with this first byte takes; 0 where none begins with it.
size_t size_by_first(unsigned first) {
  if (first < 0x80) return 1;
  return first >= 0xC2 && first < 0xE0 ? 2 : first >= 0xE0 && first < 0xF0 ? 3 : first >= 0xF0 && first < 0xF5 ? 4 : 0;
}

/// Of a letter of several bytes.
uint32_t code_point(std::string_view letter) {
  uint32_t code = byte_at(letter, 0) & (0xFFU >> (letter.size() + 1));
  for (size_t i = 1; i < letter.size(); ++i) code = code << 6 | (byte_at(letter, i) & 0x3FU);
  return code;
}

std::string escaped(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const unsigned byte = byte_at(bytes, i);
    out += {'\\', 'x', kDigits[byte / 16], kDigits[byte % 16]};
  }
  return out;
}

std::string shown(std::string_view letter) {
  return letter == "\n" || letter == "\t" || is_printable(letter) ? std::string(letter) : escaped(letter);
}

}  // namespace

size_t letter_size(std::string_view text) {
  const unsigned first = byte_at(text, 0);
  const size_t size = size_by_first(first);
  for (size_t i = 1; i < size; ++i) {
    if (byte_at(text, i) < 0x80 || byte_at(text, i) >= 0xC0) return 0;
  }
  // Longer than need be, halves of pairs, beyond the last letter.
  const unsigned second = byte_at(text, 1);
  const bool wrong = (first == 0xE0 && second < 0xA0) || (first == 0xED && second >= 0xA0) ||
                     (first == 0xF0 && second < 0x90) || (first == 0xF4 && second >= 0x90);
  return wrong || text.empty() ? 0 : size;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t size = letter_size(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

bool is_printable(std::string_view letter) {
  if (letter_size(letter) != letter.size()) return false;
  if (letter.size() == 1) return byte_at(letter, 0) >= 0x20 && byte_at(letter, 0) != 0x7F;
  const uint32_t code = code_point(letter);
  const bool turns = code == 0x061C || code == 0x200E || code == 0x200F || (code >= 0x202A && code <= 0x202E) ||
                     (code >= 0x2066 && code <= 0x2069);
  const bool line_break = code == 0x2028 || code == 0x2029;
  return code >= 0xA0 && !turns && !line_break;
}

std::string visible(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t size = std::max<size_t>(1, letter_size(text));
    out += shown(text.substr(0, size));
    text.remove_prefix(size);
  }
  return out;
}

std::string VisibleStream::add(char byte) {
  pending_ += byte;
  std::string out;
  while (!pending_.empty()) {
    const std::string_view pending = pending_;
    const size_t size = letter_size(pending);
    // It may still become a letter: as many bytes as the first one asks for are not there yet.
    const size_t wanted = size_by_first(byte_at(pending, 0));
    const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80; };
    if (size == 0 && pending.size() < wanted && std::all_of(pending.begin() + 1, pending.end(), continues)) break;
    const size_t taken = std::max<size_t>(1, size);
    out += shown(pending.substr(0, taken));
    pending_.erase(0, taken);
  }
  return out;
}

std::string VisibleStream::finish() {
  std::string out = visible(pending_);
  pending_.clear();
  return out;
}

}  // namespace lighthouse::text
