// What a report says of runs: times and losses beside a dense run, and what is not as it should be.
#include <gtest/gtest.h>

#include <cmath>

#include "cli/run_charts.h"
#include "cli/run_report.h"

namespace lighthouse::test {
namespace {

using cli::result_sentences;

/// A run of `steps` steps of `seconds` each, validated after each, at a loss that falls from `loss` by a tenth a step.
cli::ReportedRun run_of(const std::string& name, bool lighthouse, int64_t steps, double seconds, double loss) {
  cli::ReportedRun run;
  run.name = name;
  run.config.stages.resize(1);
  run.config.stages.front().lighthouse = lighthouse;
  run.config.stages.front().steps = steps;
  for (int64_t i = 1; i <= steps; ++i) {
    train::StepRecord step;
    step.step = i;
    step.tokens = 1000 * i;
    step.seconds = seconds * static_cast<double>(i);
    step.stage = step.attention = lighthouse ? "lighthouse" : "dense";
    step.loss = loss - 0.1 * static_cast<double>(i);
    run.metrics.steps.push_back(step);
    train::ValidationRecord validation;
    validation.step = i;
    validation.tokens = step.tokens;
    validation.seconds = step.seconds;
    validation.dense_loss = step.loss;
    run.metrics.validations.push_back(validation);
  }
  return run;
}

TEST(RunReport, SaysTimeAndLossBesideTheDenseRun) {
  const auto dense = run_of("dense", false, 10, 6, 4);
  EXPECT_EQ(result_sentences({dense, run_of("fast", true, 10, 3, 4.05)}),
            (std::vector<std::string>{
                "fast trained in 50% less time than dense (0:30 against 1:00, both on 10K tokens). Against dense, its "
                "validation loss is 0.450 nats lower (better) after the same time and 0.050 nats higher (worse) after "
                "the same tokens."}));
  EXPECT_EQ(result_sentences({run_of("slow", true, 10, 9, 4), dense}),
            (std::vector<std::string>{"slow trained in 50% more time than dense (1:30 against 1:00, both on 10K "
                                      "tokens). Against dense, its validation loss is 0.333 nats higher (worse) "
                                      "after the same time and the same after the same tokens."}))
      << "at the time when dense was done";
  EXPECT_EQ(result_sentences({dense, run_of("short", true, 5, 6, 4)}),
            (std::vector<std::string>{"short trained on 5000 tokens in 0:30. Against dense, its validation loss is the "
                                      "same after the same time and the same after the same tokens."}))
      << "times for different tokens are not compared";
}

TEST(RunReport, SaysWhatARunAloneReached) {
  EXPECT_EQ(result_sentences({run_of("a", true, 10, 6, 4)}),
            (std::vector<std::string>{
                "a trained on 10K tokens in 1:00. Its validation loss is 3.000 nats per token, from 3.900 at first."}));
  EXPECT_EQ(result_sentences({run_of("a", true, 10, 6, 4), run_of("b", true, 10, 6, 3)}),
            (std::vector<std::string>{"b has the lowest validation loss at its end, 2.000 nats per token, after 10K "
                                      "tokens and 1:00 of training."}));
}

TEST(RunReport, OfManyRunsTheBestComesFirst) {
  const auto dense = run_of("dense", false, 10, 6, 4);
  const auto sentences =
      result_sentences({dense, run_of("a", true, 10, 6, 4), run_of("b", true, 10, 6, 3), run_of("c", true, 10, 6, 5)});
  ASSERT_EQ(sentences.size(), 4U);
  EXPECT_TRUE(sentences.front().starts_with("b has the lowest validation loss at its end, 2.000 nats per token"));
  EXPECT_TRUE(sentences[1].starts_with("a trained in as much time as dense"));
}

TEST(RunReport, SaysWhatIsNotAsItShouldBe) {
  auto run = run_of("a", false, 10, 6, 4);
  run.config.stages.front().steps = 20;
  run.metrics.validations.back().dense_loss = NAN;
  EXPECT_EQ(result_sentences({run}),
            (std::vector<std::string>{"a trained on 10K tokens in 1:00.",
                                      "a is not done: step 10 of 20. a's last validation loss is not finite."}));
  auto without = run_of("b", true, 10, 6, 4);
  without.metrics.validations.back().dense_loss = NAN;
  EXPECT_EQ(result_sentences({without, without}).front(), "None of the 2 runs has a finite validation loss yet.");
}

TEST(RunReport, OneLossThatIsNotFiniteTakesNothingElseOutOfItsCurve) {
  auto run = run_of("a", false, 2000, 1, 300);
  run.metrics.steps[700].loss = NAN;
  run.metrics.steps[701].loss = INFINITY;
  const auto& points = cli::training_loss_charts({run}).front().series.front().points;
  EXPECT_LT(points.size(), 500U) << "means of neighbours";
  EXPECT_EQ(std::count_if(points.begin(), points.end(), [](const auto& p) { return !std::isfinite(p.y); }), 2);
  EXPECT_DOUBLE_EQ(points.back().x, 2000) << "the last point stays";
  EXPECT_NEAR(points.back().y, 100, 1e-9);
}

}  // namespace
}  // namespace lighthouse::test
