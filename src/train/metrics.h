// What a run records: one JSON object per line in metrics.jsonl, and the same records for a caller in the same process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

namespace lighthouse::train {

/// A training step.
struct StepRecord {
  int64_t step = 0;    ///< From 1: steps done.
  int64_t tokens = 0;  ///< Seen so far.
  double seconds = 0;  ///< Of training so far; validation not counted.
  std::string stage;
  std::string attention;
  double loss = 0;  ///< Nats per token, mean over the step.
  double learning_rate = 0;
  double gradient_norm = 0;  ///< Before clipping.
  double tokens_per_second = 0;
  double retained_fraction = 1;  ///< S / N; 1 in a dense stage.
};

/// A pass over held-out sequences.
struct ValidationRecord {
  int64_t step = 0;
  int64_t tokens = 0;
  double seconds = 0;
  std::string stage;
  bool stage_end = false;
  double dense_loss = 0;                  ///< Under dense attention.
  std::optional<double> lighthouse_loss;  ///< The same weights under the stage's own, in a Lighthouse stage.
};

class MetricsFile {
 public:
  /// Creates the file. Throws std::runtime_error with the path and reason.
  explicit MetricsFile(const std::filesystem::path& path);
  void write(const StepRecord& record);
  void write(const ValidationRecord& record);

 private:
  void write_line(const std::string& line);

  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace lighthouse::train
