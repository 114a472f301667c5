#include "cli/progress.h"

#include <cmath>
#include <limits>

#include "cli/number_text.h"
#include "report/line_chart.h"
#include "text/number_text.h"

namespace lighthouse::cli {

RunClock::RunClock(const train::RunConfig& config) : tokens_per_step_(config.tokens_per_step()) {
  int64_t end = 0;
  for (const auto& stage : config.stages) {
    end += stage.steps;
    stages_.push_back({.end = end, .steps = stage.steps, .lighthouse = stage.lighthouse});
  }
}

void RunClock::step(const train::StepRecord& record) {
  step_ = record.step;
  while (now_ + 1 < stages_.size() && step_ > stages_[now_].end) ++now_;
  if (!(record.tokens_per_second > 0)) return;
  stages_[now_].seen += 1;
  stages_[now_].seconds += static_cast<double>(tokens_per_step_) / record.tokens_per_second;
}

double RunClock::mean_seconds(size_t stage) const {
  const auto mean = [](const Stage& of) {
    return of.seen == 0 ? std::numeric_limits<double>::quiet_NaN() : of.seconds / static_cast<double>(of.seen);
  };
  for (size_t i = now_ + 1; i-- > 0;) {
    if (stages_[i].seen > 0 && (i == stage || stages_[i].lighthouse == stages_[stage].lighthouse))
      return mean(stages_[i]);
  }
  return expected_[stages_[stage].lighthouse ? 1 : 0].value_or(mean(stages_[now_]));
}

double RunClock::stage_seconds_left() const {
  return static_cast<double>(stages_[now_].end - step_) * mean_seconds(now_);
}

double RunClock::run_seconds_left() const {
  double seconds = stage_seconds_left();
  for (size_t i = now_ + 1; i < stages_.size(); ++i) seconds += static_cast<double>(stages_[i].steps) * mean_seconds(i);
  return seconds;
}

std::string step_text(const train::StepRecord& record, int64_t total_steps) {
  return record.stage + ": step " + std::to_string(record.step) + "/" + std::to_string(total_steps) +
         number("  loss %.4f", record.loss) + (record.skipped ? " (skipped)" : "") +
         number("  lr %.3g", record.learning_rate) + number("  grad norm %.3g", record.gradient_norm) + "  " +
         report::short_number(record.tokens_per_second) + " tokens/s" + number("  S/N %.3f", record.retained_fraction);
}

ProgressLine::ProgressLine(const train::RunConfig& config, std::string label)
    : config_(config), label_(std::move(label)), clock_(config) {}

std::string ProgressLine::time_left() const {
  const std::string run = text::clock_text(clock_.run_seconds_left());
  if (total_) return "run " + run + ", all " + text::clock_text(total_());
  return config_.stages.size() == 1 ? run : "stage " + text::clock_text(clock_.stage_seconds_left()) + ", run " + run;
}

void ProgressLine::step(const train::StepRecord& record) {
  clock_.step(record);
  if (!line_.is_due() && record.step != config_.total_steps()) return;
  line_.show(label_ + step_text(record, config_.total_steps()) + "  left: " + time_left());
}

void ProgressLine::validation(const train::ValidationRecord& record) {
  finish();
  line_.print(label_ + record.stage + ": step " + std::to_string(record.step) +
              number("  validation loss %.4f under dense attention", record.dense_loss) +
              (record.lighthouse_loss ? number(", %.4f under Lighthouse", *record.lighthouse_loss) : ""));
}

train::Observer ProgressLine::observer() {
  return {[this](const train::StepRecord& record) { step(record); },
          [this](const train::ValidationRecord& record) { validation(record); },
          {},
          {},
          {}};
}

}  // namespace lighthouse::cli
