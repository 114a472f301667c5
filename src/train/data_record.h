// What a run remembers of its data, to tell it from other data later.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace lighthouse::train {

struct DataRecord {
  DataRecord() = default;
  DataRecord(uint64_t all_bytes, std::optional<uint64_t> all_times = std::nullopt, std::string how_much = "")
      : fingerprint(all_bytes), times(all_times), size(std::move(how_much)) {}

  uint64_t fingerprint = 0;       ///< Of the files' order, sizes and bytes.
  std::optional<uint64_t> times;  ///< Of sizes and times of change; older releases have none.
  std::string size;               ///< "3 files, 8400 tokens"; empty in older releases.
};

/// A record as the metadata of a file of weights have it, and what those metadata say; none where they say nothing.
using Metadata = std::map<std::string, std::string>;
Metadata to_metadata(const DataRecord& record);
std::optional<DataRecord> record_in(const Metadata& metadata);

/// Hears how many bytes of how many were read.
using ReadingWatch = std::function<void(uint64_t done, uint64_t all)>;

}  // namespace lighthouse::train
