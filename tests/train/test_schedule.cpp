// Learning rates step by step against values worked out by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "train/schedule.h"

namespace lighthouse::test {
namespace {

using train::ScheduleConfig;
using train::ScheduleKind;

constexpr double kPeak = 2;
constexpr int64_t kSteps = 20;

double rate_at(const ScheduleConfig& schedule, int64_t step) {
  return train::learning_rate(schedule, kPeak, step, kSteps);
}

ScheduleConfig schedule_of(ScheduleKind kind, int64_t warmup, double final_fraction = 0) {
  ScheduleConfig schedule;
  schedule.kind = kind;
  schedule.warmup_steps = warmup;
  schedule.final_fraction = final_fraction;
  return schedule;
}

TEST(Schedule, TheWarmUpEndsAtThePeak) {
  for (const auto kind :
       {ScheduleKind::kConstant, ScheduleKind::kLinear, ScheduleKind::kCosine, ScheduleKind::kConstantThenDecay}) {
    const auto schedule = schedule_of(kind, 4);
    for (int64_t step = 0; step < 4; ++step) EXPECT_DOUBLE_EQ(rate_at(schedule, step), kPeak * double(step + 1) / 4);
    EXPECT_DOUBLE_EQ(rate_at(schedule, 4), kPeak) << "the first step after the warm-up has the whole rate";
    EXPECT_DOUBLE_EQ(rate_at(schedule_of(kind, 0), 0), kPeak);
  }
}

TEST(Schedule, LinearFallsEvenlyFromTheWarmUpsEnd) {
  for (int64_t step = 4; step < kSteps; ++step) {
    const double left = double(kSteps - step) / 16;
    EXPECT_DOUBLE_EQ(rate_at(schedule_of(ScheduleKind::kLinear, 4), step), kPeak * left);
    EXPECT_DOUBLE_EQ(rate_at(schedule_of(ScheduleKind::kLinear, 4, 0.1), step), kPeak * (0.1 + 0.9 * left));
  }
}

TEST(Schedule, CosineFallsAsHalfAWave) {
  for (int64_t step = 4; step < kSteps; ++step) {
    const double done = double(step - 4) / 16;
    const double shape = (1 + std::cos(std::numbers::pi * done)) / 2;
    EXPECT_NEAR(rate_at(schedule_of(ScheduleKind::kCosine, 4), step), kPeak * shape, 1e-12);
    EXPECT_NEAR(rate_at(schedule_of(ScheduleKind::kCosine, 4, 0.1), step), kPeak * (0.1 + 0.9 * shape), 1e-12);
  }
}

TEST(Schedule, ConstantThenDecayFallsOverTheLastShare) {
  auto schedule = schedule_of(ScheduleKind::kConstantThenDecay, 4);
  schedule.decay_fraction = 0.25;  // of 20 steps: the last 5
  for (int64_t step = 4; step <= 15; ++step) EXPECT_DOUBLE_EQ(rate_at(schedule, step), kPeak);
  for (int64_t step = 15; step < kSteps; ++step)
    EXPECT_DOUBLE_EQ(rate_at(schedule, step), kPeak * double(20 - step) / 5);
  schedule.decay_fraction = 1;  // no room before the decay but the warm-up's
  for (int64_t step = 4; step < kSteps; ++step)
    EXPECT_DOUBLE_EQ(rate_at(schedule, step), kPeak * double(20 - step) / 16);
}

}  // namespace
}  // namespace lighthouse::test
