#include "train/data_record.h"

#include <charconv>

#include "io/checksum.h"

namespace lighthouse::train {
namespace {

constexpr const char* kFingerprint = "data_fingerprint";
constexpr const char* kTimes = "data_times";
constexpr const char* kSize = "data_size";

std::optional<uint64_t> hexadecimal(const std::string& digits) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

}  // namespace

Metadata to_metadata(const DataRecord& record) {
  Metadata metadata = {{kFingerprint, io::to_hex(record.fingerprint)}, {kSize, record.size}};
  if (record.times) metadata.emplace(kTimes, io::to_hex(*record.times));
  return metadata;
}

std::optional<DataRecord> record_in(const Metadata& metadata) {
  const auto text = [&](const char* key) {
    const auto found = metadata.find(key);
    return found == metadata.end() ? std::string() : found->second;
  };
  const auto fingerprint = hexadecimal(text(kFingerprint));
  if (!fingerprint) return std::nullopt;
  return DataRecord(*fingerprint, hexadecimal(text(kTimes)), text(kSize));
}

}  // namespace lighthouse::train
