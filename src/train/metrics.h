// What a run records: one JSON object per line in metrics.jsonl, written as it happens, read back whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/append_file.h"

namespace lighthouse::train {

/// A training step.
struct StepRecord {
  int64_t step = 0;    ///< From 1: steps done.
  int64_t tokens = 0;  ///< Seen so far.
  double seconds = 0;  ///< Of training so far; validation and checkpoints not counted.
  double time = 0;     ///< Of day: seconds since 1970.
  std::string stage;
  std::string attention;
  double loss = 0;  ///< Nats per token, mean over the step.
  double learning_rate = 0;
  double gradient_norm = 0;  ///< Before clipping.
  double tokens_per_second = 0;
  double retained_fraction = 1;  ///< S / N; 1 in a dense stage.
  bool skipped = false;          ///< The loss or the gradient was not finite: the weights stayed as they were.
};

/// A pass over held-out sequences.
struct ValidationRecord {
  int64_t step = 0;
  int64_t tokens = 0;
  double seconds = 0;
  double time = 0;
  std::string stage;
  bool stage_end = false;
  double dense_loss = 0;                  ///< Under dense attention.
  std::optional<double> lighthouse_loss;  ///< The same weights under the stage's own, in a Lighthouse stage.
};

/// A run's records in the order of its file.
struct Metrics {
  std::vector<StepRecord> steps;
  std::vector<ValidationRecord> validations;
};

/// How many of these steps were skipped. A run's record has every one that was.
int64_t count_skipped(const std::vector<StepRecord>& steps);

/// The file as a whole, or its first `bytes` bytes. A last line without its end is passed over: a process may be
/// writing it. Line ends of another system, blank lines and a mark of byte order do not count. Throws
/// std::runtime_error naming the file, the line and what is wrong with it.
Metrics read_metrics(const std::filesystem::path& path, std::optional<uint64_t> bytes = std::nullopt);

/// The highest step that a line of the file names, whatever else is in it; 0 where none does.
int64_t last_recorded_step(const std::filesystem::path& path);

/// What a run that goes on from a checkpoint keeps of its record.
struct KeptRecord {
  Metrics records;
  /// The kept text, where an editor changed line ends, blank lines or a mark of byte order in the file.
  std::optional<std::string> restored;
};

/// The record up to `step`, which had `bytes` bytes when the checkpoint of that step was written; 0 keeps nothing.
/// Throws std::runtime_error where those lines are other ones now, and where what follows, and is to be cut off, has a
/// line that no run wrote: nothing of a user's own is lost.
KeptRecord read_kept_record(const std::filesystem::path& path, int64_t step, uint64_t bytes);

class MetricsFile {
 public:
  /// Goes on after the first `keep_bytes` bytes of the file. Throws std::runtime_error with the path and reason.
  explicit MetricsFile(const std::filesystem::path& path, uint64_t keep_bytes = 0) : file_(path, keep_bytes) {}
  /// A line is in the file whole or, where writing fails, not at all.
  void write(const StepRecord& record);
  void write(const ValidationRecord& record);
  /// Makes the lines so far outlive a power cut; returns the bytes of them.
  uint64_t sync();

 private:
  io::AppendFile file_;
};

}  // namespace lighthouse::train
