#include "train/data_record.h"

#include <charconv>

namespace lighthouse::train {
namespace {

std::optional<uint64_t> hexadecimal(const std::string& digits) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<DataRecord> DataRecord::from_text(const std::string& fingerprint_digits,
                                                const std::string& times_digits) {
  const auto fingerprint = hexadecimal(fingerprint_digits);
  if (!fingerprint) return std::nullopt;
  return DataRecord(*fingerprint, hexadecimal(times_digits));
}

}  // namespace lighthouse::train
