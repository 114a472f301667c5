#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lighthouse::train {

double learning_rate(const ScheduleConfig& schedule, double peak, int64_t step, int64_t total_steps) {
  if (step < schedule.warmup_steps) {
    return peak * static_cast<double>(step + 1) / static_cast<double>(schedule.warmup_steps);
  }
  const auto position = static_cast<double>(step);
  const auto total = static_cast<double>(total_steps);
  // The decay runs from `start` to the step after the last; `left` falls from 1 to 0 over it.
  double start = static_cast<double>(schedule.warmup_steps);
  if (schedule.kind == ScheduleKind::kConstantThenDecay) start = std::max(start, total * (1 - schedule.decay_fraction));
  const double left = total > start ? std::clamp((total - position) / (total - start), 0.0, 1.0) : 1.0;
  double shape = 1.0;
  switch (schedule.kind) {
    case ScheduleKind::kConstant: return peak;
    case ScheduleKind::kLinear:
    case ScheduleKind::kConstantThenDecay: shape = left; break;
    case ScheduleKind::kCosine: shape = 0.5 * (1 - std::cos(std::numbers::pi * left)); break;
  }
  return peak * (schedule.final_fraction + (1 - schedule.final_fraction) * shape);
}

}  // namespace lighthouse::train
