// A TensorBoard event file of a run's records: scalars over steps.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "io/append_file.h"
#include "train/metrics.h"

namespace lighthouse::train {

/// The file is a copy of metrics.jsonl in another format: it is written anew from the records so far whenever a run
/// starts or resumes, so it never holds a point that the record does not.
class TensorBoardFile {
 public:
  /// Replaces the file by one with `records`. Throws std::runtime_error with the path and reason.
  TensorBoardFile(const std::filesystem::path& path, const Metrics& records);
  void write(const StepRecord& record);
  void write(const ValidationRecord& record);

 private:
  io::AppendFile file_;
};

/// Name of the file in a run's folder; TensorBoard looks for "tfevents".
inline constexpr const char* kTensorBoardName = "events.out.tfevents.0.lighthouse";

/// CRC-32C (Castagnoli), as TensorFlow's record files have it.
uint32_t crc32c(std::string_view bytes);

}  // namespace lighthouse::train
