// What a run says while it goes: the time that is left, a step's figures.
#include <gtest/gtest.h>

#include <cmath>

#include "cli/progress.h"

namespace lighthouse::test {
namespace {

train::StageConfig stage_of(bool lighthouse, int64_t steps) {
  train::StageConfig stage;
  stage.name = lighthouse ? "lighthouse" : "dense";
  stage.lighthouse = lighthouse;
  stage.steps = steps;
  return stage;
}

/// A step of so many seconds, in a run of 100 tokens a step.
train::StepRecord step_of(int64_t step, double seconds) {
  train::StepRecord record;
  record.step = step;
  record.tokens_per_second = 100 / seconds;
  return record;
}

TEST(Progress, TimeLeftCountsTheStagesToCome) {
  train::RunConfig config;
  config.data.context_length = 100;
  config.stages = {stage_of(true, 4), stage_of(false, 10), stage_of(true, 2)};
  cli::RunClock clock(config);
  EXPECT_TRUE(std::isnan(clock.run_seconds_left())) << "no step yet";
  clock.step(step_of(1, 2));
  clock.step(step_of(2, 4));
  EXPECT_DOUBLE_EQ(clock.stage_seconds_left(), 2 * 3);
  EXPECT_DOUBLE_EQ(clock.run_seconds_left(), 2 * 3 + 10 * 3 + 2 * 3) << "the present speed where no other is known";
  clock.step(step_of(3, 3));
  clock.step(step_of(4, 3));
  EXPECT_DOUBLE_EQ(clock.stage_seconds_left(), 0);
  clock.step(step_of(5, 20));
  EXPECT_DOUBLE_EQ(clock.stage_seconds_left(), 9 * 20);
  EXPECT_DOUBLE_EQ(clock.run_seconds_left(), 9 * 20 + 2 * 3) << "the last stage is one of the first one's kind";
  clock.step(step_of(16, 3));
  EXPECT_DOUBLE_EQ(clock.run_seconds_left(), 0);
}

TEST(Progress, WhatIsExpectedStandsForStepsThatNoneHasSeen) {
  train::RunConfig config;
  config.data.context_length = 100;
  config.stages = {stage_of(true, 4), stage_of(false, 10)};
  cli::RunClock clock(config);
  clock.expect(/*lighthouse=*/true, 5);
  clock.expect(/*lighthouse=*/false, 7);
  EXPECT_DOUBLE_EQ(clock.run_seconds_left(), 4 * 5 + 10 * 7);
  clock.step(step_of(1, 2));
  EXPECT_DOUBLE_EQ(clock.run_seconds_left(), 3 * 2 + 10 * 7);
  clock.step(step_of(5, 3));
  EXPECT_DOUBLE_EQ(clock.run_seconds_left(), 9 * 3);
}

TEST(Progress, AStepNamesLossRateNormAndSpeed) {
  train::StepRecord record;
  record.step = 12;
  record.stage = "lighthouse";
  record.loss = 2.34567;
  record.learning_rate = 0.002;
  record.gradient_norm = 1.234;
  record.tokens_per_second = 12345;
  record.retained_fraction = 0.1875;
  EXPECT_EQ(cli::step_text(record, 60),
            "lighthouse: step 12/60  loss 2.3457  lr 0.002  grad norm 1.23  12K tokens/s  S/N 0.188");
  record.skipped = true;
  EXPECT_NE(cli::step_text(record, 60).find("loss 2.3457 (skipped)"), std::string::npos);
}

}  // namespace
}  // namespace lighthouse::test
