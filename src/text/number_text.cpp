#include "text/number_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace lighthouse::text {
namespace {

constexpr const char* kNotKnown = "?";

}  // namespace

std::string format(const char* pattern, double value) {
  std::array<char, 400> text{};  // a number without an exponent may have 309 digits
  std::snprintf(text.data(), text.size(), pattern, value);
  return text.data();
}

std::string shortest(double value) {
  const double size = std::abs(value);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e12);
  std::array<char, 64> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value,
                                     plain ? std::chars_format::fixed : std::chars_format::scientific)
                           .ptr};
}

std::string count_of(int64_t count, const std::string& one, const std::string& many) {
  return std::to_string(count) + " " + (count == 1 ? one : many.empty() ? one + "s" : many);
}

std::string scaled(double value, const std::string& unit) {
  if (!std::isfinite(value)) return kNotKnown;
  constexpr std::array kPrefixes = {"", "k", "M", "G", "T", "P", "E"};
  size_t prefix = 0;
  // From 999.5 on three figures would be written as 1000.
  while (std::abs(value) >= 999.5 && prefix + 1 < kPrefixes.size()) {
    value /= 1000;
    ++prefix;
  }
  const double size = std::abs(value);
  const bool whole = prefix == 0 && value == std::round(value);
  const char* const pattern = whole || size >= 99.95 ? "%.0f"
                              : size >= 9.995        ? "%.1f"
                              : size >= 0.9995       ? "%.2f"
                                                     : "%.3g";
  return format(pattern, value) + " " + kPrefixes[prefix] + unit;
}

std::string bytes_text(double bytes) { return scaled(bytes, "B"); }

std::string clock_text(double seconds) {
  constexpr double kMost = 1e9;  // 30 years
  if (!std::isfinite(seconds) || seconds > kMost) return kNotKnown;
  const auto whole = static_cast<long long>(std::max(0.0, seconds) + 0.5);
  std::array<char, 64> text{};
  if (whole >= 3600) {
    std::snprintf(text.data(), text.size(), "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
  } else {
    std::snprintf(text.data(), text.size(), "%lld:%02lld", whole / 60, whole % 60);
  }
  return text.data();
}

}  // namespace lighthouse::text
