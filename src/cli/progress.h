// A training run's progress on standard error.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/status_line.h"
#include "train/trainer.h"

namespace lighthouse::cli {

/// Time left by the mean times of the steps so far. A stage that has not begun takes those of the newest one with its
/// attention; where none had it, what is expected of it, or the present one's.
class RunClock {
 public:
  explicit RunClock(const train::RunConfig& config);

  /// Seconds of a step with that attention, by a measurement before the run.
  void expect(bool lighthouse, double seconds) { expected_[lighthouse ? 1 : 0] = seconds; }
  void step(const train::StepRecord& record);
  /// NaN before the first step where nothing is expected.
  double stage_seconds_left() const;
  double run_seconds_left() const;

 private:
  struct Stage {
    int64_t end = 0;  ///< The run's steps when it is over.
    int64_t steps = 0;
    bool lighthouse = false;
    int64_t seen = 0;  ///< Steps, and their seconds, in this process.
    double seconds = 0;
  };
  double mean_seconds(size_t stage) const;

  std::vector<Stage> stages_;
  std::array<std::optional<double>, 2> expected_;  ///< Dense, Lighthouse.
  int64_t tokens_per_step_;
  int64_t step_ = 0;
  size_t now_ = 0;  ///< The stage of the newest step.
};

class ProgressLine {
 public:
  explicit ProgressLine(const train::RunConfig& config, std::string label = "");

  void step(const train::StepRecord& record);
  void validation(const train::ValidationRecord& record);
  void finish() { line_.finish(); }

  RunClock& clock() { return clock_; }
  /// Where a run is one of several: the time left of all of them is shown beside its own.
  void show_total(std::function<double()> seconds_left) { total_ = std::move(seconds_left); }

  /// An observer that calls the above.
  train::Observer observer();

 private:
  std::string time_left() const;

  const train::RunConfig& config_;
  std::string label_;
  RunClock clock_;
  std::function<double()> total_;
  StatusLine line_;
};

/// "lighthouse: step 12/60  loss 2.3456  lr 0.002  grad norm 1.2  9.8K tokens/s  S/N 0.188".
std::string step_text(const train::StepRecord& record, int64_t total_steps);

}  // namespace lighthouse::cli
