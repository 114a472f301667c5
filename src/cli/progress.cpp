#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "report/line_chart.h"

namespace lighthouse::cli {
namespace {

constexpr auto kQuietInterval = std::chrono::seconds(5);

}  // namespace

std::string clock_text(double seconds) {
  const auto whole = static_cast<long long>(std::max(0.0, seconds) + 0.5);
  char text[64];
  if (whole >= 3600) {
    std::snprintf(text, sizeof(text), "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
  } else {
    std::snprintf(text, sizeof(text), "%lld:%02lld", whole / 60, whole % 60);
  }
  return text;
}

ProgressLine::ProgressLine(const train::RunConfig& config, std::string label)
    : config_(config), label_(std::move(label)), terminal_(isatty(STDERR_FILENO) == 1) {}

void ProgressLine::stage(const train::StageConfig&, int64_t index) {
  if (index == stage_index_ && stage_steps_ > 0) return;  // the same one, after a pause
  stage_begin_ = 0;
  for (int64_t i = 0; i < index; ++i) stage_begin_ += config_.stages[static_cast<size_t>(i)].steps;
  stage_index_ = index;
  stage_seconds_ = 0;
  stage_steps_ = 0;
}

/// Of this stage, at its own mean speed: a later stage's speed is not known before it runs.
double ProgressLine::seconds_left(const train::StepRecord& record) const {
  const int64_t end = stage_begin_ + config_.stages[static_cast<size_t>(stage_index_)].steps;
  return stage_seconds_ / static_cast<double>(stage_steps_) * static_cast<double>(end - record.step);
}

void ProgressLine::step(const train::StepRecord& record) {
  stage_seconds_ += static_cast<double>(config_.tokens_per_step()) / record.tokens_per_second;
  ++stage_steps_;
  const auto now = std::chrono::steady_clock::now();
  const bool last_step = record.step == config_.total_steps();
  if (!terminal_ && !last_step && now - last_ < kQuietInterval) return;
  last_ = now;
  std::fprintf(stderr, "%s%s%s: step %lld/%lld  loss %.4f  %s tokens/s  S/N %.3f  stage left %s%s",
               terminal_ ? "\r\033[K" : "", label_.c_str(), record.stage.c_str(), static_cast<long long>(record.step),
               static_cast<long long>(config_.total_steps()), record.loss,
               report::short_number(record.tokens_per_second).c_str(), record.retained_fraction,
               clock_text(seconds_left(record)).c_str(), terminal_ ? "" : "\n");
  std::fflush(stderr);
  open_ = terminal_;
}

void ProgressLine::validation(const train::ValidationRecord& record) {
  finish();
  std::fprintf(stderr, "%s%s: step %lld  validation loss %.4f under dense attention", label_.c_str(),
               record.stage.c_str(), static_cast<long long>(record.step), record.dense_loss);
  if (record.lighthouse_loss) std::fprintf(stderr, ", %.4f under Lighthouse", *record.lighthouse_loss);
  std::fprintf(stderr, "\n");
}

void ProgressLine::finish() {
  if (open_) std::fprintf(stderr, "\n");
  open_ = false;
}

train::Observer ProgressLine::observer() {
  return {[this](const train::StepRecord& record) { step(record); },
          [this](const train::ValidationRecord& record) { validation(record); },
          [this](const train::StageConfig& config, int64_t index) { stage(config, index); },
          {},
          {}};
}

}  // namespace lighthouse::cli
