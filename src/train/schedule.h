// The learning rate as a pure function of the step, over all stages together.
#pragma once

#include "train/config.h"

namespace lighthouse::train {

/// Learning rate of step `step` of `total_steps`, both counted from 0: linear warm-up, then the schedule's shape.
double learning_rate(const ScheduleConfig& schedule, double peak, int64_t step, int64_t total_steps);

}  // namespace lighthouse::train
