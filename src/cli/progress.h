// One line of progress on standard error: rewritten in place on a terminal, every few seconds elsewhere.
#pragma once

#include <chrono>
#include <string>

#include "train/trainer.h"

namespace lighthouse::cli {

class ProgressLine {
 public:
  explicit ProgressLine(const train::RunConfig& config, std::string label = "");
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { finish(); }

  void stage(const train::StageConfig& stage, int64_t index);
  void step(const train::StepRecord& record);
  void validation(const train::ValidationRecord& record);
  /// Ends a line that is being rewritten.
  void finish();

  /// An observer that calls the above.
  train::Observer observer();

 private:
  double seconds_left(const train::StepRecord& record) const;

  const train::RunConfig& config_;
  std::string label_;
  bool terminal_;
  bool open_ = false;
  int64_t stage_index_ = 0;
  int64_t stage_begin_ = 0;
  double stage_seconds_ = 0;  // and steps, of this process
  int64_t stage_steps_ = 0;
  std::chrono::steady_clock::time_point last_;
};

/// "1:23:45", "4:05".
std::string clock_text(double seconds);

}  // namespace lighthouse::cli
