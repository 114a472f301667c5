// What a run remembers of its data, to tell it from other data later.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace lighthouse::train {

struct DataRecord {
  DataRecord() = default;
  DataRecord(uint64_t all_bytes, std::optional<uint64_t> all_times = std::nullopt)
      : fingerprint(all_bytes), times(all_times) {}
  /// Of hexadecimal digits, as files have them; none where `fingerprint_digits` are no number.
  static std::optional<DataRecord> from_text(const std::string& fingerprint_digits, const std::string& times_digits);

  uint64_t fingerprint = 0;       ///< Of the files' order, sizes and bytes.
  std::optional<uint64_t> times;  ///< Of sizes and times of change; older releases have none.
};

/// Hears how many bytes of how many were read.
using ReadingWatch = std::function<void(uint64_t done, uint64_t all)>;

}  // namespace lighthouse::train
