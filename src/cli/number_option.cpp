#include "cli/number_option.h"

#include <charconv>
#include <cmath>
#include <functional>
#include <optional>
#include <system_error>

#include "text/number_text.h"
#include "text/utf8.h"

namespace lighthouse::cli {
namespace {

/// The whole text as a decimal number; none where it is something else or does not fit.
template <typename T>
std::optional<T> decimal(const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

/// What came, for a line of an error.
std::string quoted_value(const std::string& value) {
  constexpr size_t kLongest = 60;
  if (value.empty()) return "an empty text";
  const std::string shown = text::visible(value.substr(0, kLongest)) + (value.size() > kLongest ? "..." : "");
  return value.find_first_of(" \t\n") == std::string::npos ? shown : "\"" + shown + "\"";
}

/// `read` gives the value as CLI11 is to read it, none where it is refused.
CLI::Validator number_validator(const std::string& expected,
                                const std::function<std::optional<std::string>(const std::string&)>& read,
                                const std::string& bounds) {
  return CLI::Validator(
      [expected, read](std::string& value) -> std::string {
        const auto number = read(value);
        if (!number) return "expected " + expected + "; got " + quoted_value(value);
        value = *number;
        return "";
      },
      bounds);
}

template <typename T>
CLI::Validator whole_number_of(T least, T most) {
  const bool bounded = most < std::numeric_limits<T>::max() || std::is_unsigned_v<T>;
  const std::string bounds =
      bounded ? std::to_string(least) + " to " + std::to_string(most) : "at least " + std::to_string(least);
  const auto read = [least, most](const std::string& text) -> std::optional<std::string> {
    const auto value = decimal<T>(text);
    if (!value || *value < least || *value > most) return std::nullopt;
    return std::to_string(*value);
  };
  return number_validator("a whole number" + (bounded ? " from " + bounds : " of " + bounds), read, bounds);
}

CLI::Validator real_number_of(const std::string& expected, const std::string& bounds,
                              const std::function<bool(double)>& in_bounds) {
  const auto read = [in_bounds](const std::string& text) -> std::optional<std::string> {
    const auto value = decimal<double>(text);
    if (!value || !std::isfinite(*value) || !in_bounds(*value)) return std::nullopt;
    return text::shortest(*value);
  };
  return number_validator(expected + bounds, read, bounds);
}

}  // namespace

CLI::Validator whole_number(int64_t least, int64_t most) { return whole_number_of(least, most); }

CLI::Validator seed_number() { return whole_number_of(uint64_t{0}, std::numeric_limits<uint64_t>::max()); }

CLI::Validator real_number(double least, double most) {
  return real_number_of("a number from ", text::shortest(least) + " to " + text::shortest(most),
                        [=](double value) { return value >= least && value <= most; });
}

CLI::Validator real_number_above(double above, double most) {
  return real_number_of("a number ", "above " + text::shortest(above) + ", at most " + text::shortest(most),
                        [=](double value) { return value > above && value <= most; });
}

CLI::Validator zero_or_number(double least, double most) {
  return real_number_of("a number, ", "0 or from " + text::shortest(least) + " to " + text::shortest(most),
                        [=](double value) { return value == 0 || (value >= least && value <= most); });
}

CLI::Validator one_of(const std::vector<std::string>& words) {
  std::string expected;
  for (size_t i = 0; i < words.size(); ++i)
    expected += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + words[i];
  const auto read = [words](const std::string& text) -> std::optional<std::string> {
    for (const auto& word : words) {
      if (word == text) return word;
    }
    return std::nullopt;
  };
  return number_validator(expected, read, "");
}

}  // namespace lighthouse::cli
