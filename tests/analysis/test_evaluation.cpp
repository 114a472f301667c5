// Evaluation: intervals against known values, prompts where they should be, models rigged to be right or to guess.
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "../train/temporary_folder.h"
#include "analysis/confidence.h"
#include "analysis/copy_task.h"
#include "analysis/position_loss.h"
#include "analysis/retrieval.h"

namespace lighthouse::test {
namespace {

using analysis::TaskGrid;

TEST(Confidence, WilsonIntervalOfKnownValues) {
  const auto half = analysis::wilson_interval(5, 10);
  EXPECT_NEAR(half.low, 0.236593, 1e-6);
  EXPECT_NEAR(half.high, 0.763407, 1e-6);
  const auto all = analysis::wilson_interval(10, 10);
  EXPECT_NEAR(all.low, 0.722467, 1e-6);
  EXPECT_EQ(all.high, 1);
  const auto none = analysis::wilson_interval(0, 10);
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 0.277533, 1e-6);
  EXPECT_EQ(analysis::wilson_interval(0, 0).high, 1);
}

TEST(Confidence, StudentQuantiles) {
  for (const auto& [degrees, value] : std::vector<std::pair<int, double>>{
           {1, 12.7062}, {4, 2.77645}, {5, 2.57058}, {9, 2.26216}, {30, 2.04227}, {1000, 1.96234}}) {
    EXPECT_NEAR(analysis::student_quantile(degrees), value, 1e-3) << degrees;
  }
  const auto mean = analysis::mean_of({1, 2, 3});
  EXPECT_DOUBLE_EQ(mean.value, 2);
  EXPECT_NEAR(mean.interval.low, 2 - 4.3026527 / std::sqrt(3), 1e-6);
  EXPECT_TRUE(std::isnan(analysis::mean_of({1}).interval.low));
  EXPECT_TRUE(std::isnan(analysis::mean_of({}).value));
}

model::ModelConfig small_model() {
  model::ModelConfig config;
  config.hidden_size = 16;
  config.intermediate_size = 24;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 2;
  config.num_key_value_heads = 1;
  config.head_dim = 8;
  config.initializer_range = 0.5;
  return config;
}

TEST(PositionLoss, BoundsDouble) {
  EXPECT_EQ(analysis::position_bounds(100), (std::vector<int64_t>{0, 100}));
  EXPECT_EQ(analysis::position_bounds(128), (std::vector<int64_t>{0, 128}));
  EXPECT_EQ(analysis::position_bounds(600), (std::vector<int64_t>{0, 128, 256, 512, 600}));
}

TEST(PositionLoss, BucketsEqualWholeLogits) {
  torch::manual_seed(3);
  model::Decoder decoder(small_model());
  const torch::NoGradGuard no_grad;
  constexpr int64_t kLength = 300;
  analysis::PositionLossSum sum(kLength);
  std::vector<double> naive(kLength, 0);
  for (int sequence = 0; sequence < 2; ++sequence) {
    const auto row = torch::randint(0, 256, {1, kLength + 1}, torch::kInt64);
    const auto targets = row.slice(1, 1).contiguous();
    const auto tokens = row.slice(1, 0, kLength).contiguous();
    sum.add(decoder->losses(tokens, targets)[0]);
    const auto logits = decoder->forward(tokens)[0].to(torch::kDouble);
    for (int64_t i = 0; i < kLength; ++i) {
      const auto of_token = logits[i];
      naive[static_cast<size_t>(i)] +=
          (of_token.logsumexp(0) - of_token[targets[0][i].item<int64_t>()]).item<double>() / 2;
    }
  }
  const auto mean = [&](int64_t begin, int64_t end) {
    double total = 0;
    for (int64_t i = begin; i < end; ++i) total += naive[static_cast<size_t>(i)];
    return total / static_cast<double>(end - begin);
  };
  const auto result = sum.result();
  ASSERT_EQ(result.buckets.size(), 3U);
  for (const auto& bucket : result.buckets) {
    EXPECT_NEAR(bucket.loss.value, mean(bucket.begin, bucket.end), 1e-5) << bucket.begin;
    EXPECT_EQ(bucket.count, 2 * (bucket.end - bucket.begin));
    EXPECT_LT(bucket.loss.interval.low, bucket.loss.value);
  }
  EXPECT_EQ(result.buckets.back().end, kLength);
  EXPECT_NEAR(result.overall.loss.value, mean(0, kLength), 1e-5);
  expect_error([&] { sum.add(torch::zeros({3})); }, {"300 tokens", "got 3"});
}

TEST(Retrieval, TheDigitStandsAtItsDepth) {
  const std::string question = "\nThe magic number is ";
  for (const int64_t length : {analysis::shortest_retrieval(), int64_t{100}, int64_t{1024}}) {
    int64_t last = -1;
    for (const int64_t depth : {0, 15, 50, 100}) {
      const auto prompt = analysis::retrieval_prompt(length, depth, 1, 7);
      ASSERT_EQ(prompt.text.size(), static_cast<size_t>(length));
      const std::string needle = question + prompt.digit + ".\n";
      const auto at = static_cast<int64_t>(prompt.text.find(needle));
      const int64_t filler = length - static_cast<int64_t>(needle.size() + question.size());
      EXPECT_NEAR(static_cast<double>(at), static_cast<double>(filler * depth) / 100, 0.5);
      EXPECT_GE(at, last);
      last = at;
      EXPECT_TRUE(prompt.text.ends_with(question));
      if (depth == 100) {
        EXPECT_TRUE(prompt.text.ends_with(needle + question));
      }
      EXPECT_EQ(std::count_if(prompt.text.begin(), prompt.text.end(), [](char c) { return c >= '0' && c <= '9'; }), 1);
    }
  }
  EXPECT_EQ(analysis::retrieval_prompt(200, 30, 2, 7).text, analysis::retrieval_prompt(200, 30, 2, 7).text);
  EXPECT_NE(analysis::retrieval_prompt(200, 30, 2, 7).text, analysis::retrieval_prompt(200, 30, 2, 8).text);
  EXPECT_NE(analysis::retrieval_prompt(200, 30, 2, 7).text, analysis::retrieval_prompt(200, 30, 3, 7).text);
  std::set<char> digits;
  for (int64_t trial = 0; trial < 200; ++trial) digits.insert(analysis::retrieval_prompt(60, 0, trial, 0).digit);
  EXPECT_EQ(digits.size(), 10U);
}

/// Knows the answer: the one digit of the prompt. A byte that is no digit is likelier still and must not count.
torch::Tensor find_digit(const torch::Tensor& tokens, int64_t rows) {
  torch::Tensor logits = torch::zeros({rows, 256});
  for (int64_t i = 0; i < tokens.size(1); ++i) {
    const int64_t token = tokens[0][i].item<int64_t>();
    if (token >= '0' && token <= '9') logits[rows - 1][token] = 1;
  }
  logits[rows - 1]['x'] = 5;
  return logits;
}

TEST(Retrieval, RiggedModels) {
  TaskGrid grid{.lengths = {64, 96}, .depths = {0, 100}, .trials = 50};
  int64_t asked = 0;
  const auto cells = analysis::evaluate_retrieval(find_digit, grid, [&](const std::string& task, int64_t tokens) {
    EXPECT_EQ(task, "retrieval");
    EXPECT_TRUE(tokens == 64 || tokens == 96);
    ++asked;
  });
  ASSERT_EQ(cells.size(), 4U);
  EXPECT_EQ(asked, 200);
  EXPECT_EQ(cells[1].length, 64);
  EXPECT_EQ(cells[1].depth, 100);
  for (const auto& cell : cells) EXPECT_EQ(cell.score(), 1.0);
  const auto seven = [](const torch::Tensor&, int64_t rows) {
    torch::Tensor logits = torch::zeros({rows, 256});
    logits.slice(1, '7', '8').fill_(1);
    return logits;
  };
  const auto guessed = analysis::overall(analysis::evaluate_retrieval(seven, grid));
  EXPECT_EQ(guessed.trials, 200);
  EXPECT_LT(guessed.interval().low, analysis::kRetrievalChance);
  EXPECT_GT(guessed.interval().high, analysis::kRetrievalChance);
}

TEST(CopyTask, TheStringStandsTwice) {
  for (const int64_t length : {analysis::shortest_copy(32), int64_t{200}, int64_t{1000}}) {
    for (const int64_t depth : {0, 50, 100}) {
      const std::string text = analysis::copy_text(length, depth, 0, 32, 1);
      ASSERT_EQ(text.size(), static_cast<size_t>(length) + 1);
      const std::string marked = "\nCopy: " + text.substr(text.size() - 32);
      EXPECT_TRUE(text.ends_with(marked));
      const auto first = static_cast<int64_t>(text.find(marked + "\n"));
      const int64_t filler = length - analysis::shortest_copy(32);
      EXPECT_NEAR(static_cast<double>(first), static_cast<double>(filler * depth) / 100, 0.5);
    }
  }
}

/// Predicts each next byte by the place before where the last two bytes stood.
torch::Tensor go_on_as_before(const torch::Tensor& tokens, int64_t rows) {
  torch::Tensor logits = torch::zeros({rows, 256});
  const auto* t = tokens.const_data_ptr<int64_t>();
  const int64_t length = tokens.size(1);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t end = length - rows + row + 1;  // tokens seen
    for (int64_t i = 0; i + 2 < end; ++i) {
      if (t[i] == t[end - 2] && t[i + 1] == t[end - 1]) logits[row][t[i + 2]] = 50;
    }
  }
  return logits;
}

TEST(CopyTask, RiggedModels) {
  TaskGrid grid{.lengths = {80, 120}, .depths = {0, 100}, .trials = 20};
  const auto cells = analysis::evaluate_copying(go_on_as_before, grid, 12);
  ASSERT_EQ(cells.size(), 4U);
  const auto copied = analysis::overall(cells);
  EXPECT_GT(copied.score(), 0.8) << "two bytes may stand elsewhere too";
  EXPECT_EQ(copied.shares.size(), 80U);
  const auto guess = [](const torch::Tensor&, int64_t rows) {
    torch::Tensor logits = torch::full({rows, 256}, -100.0F);
    logits.slice(1, 'a', 'z' + 1).fill_(0);
    logits.slice(1, 'e', 'f').fill_(1e-6F);
    return logits;
  };
  const auto guessed = analysis::overall(analysis::evaluate_copying(guess, grid, 12));
  EXPECT_NEAR(guessed.score(), analysis::kCopyChance, 0.03);
  EXPECT_LT(guessed.interval().low, analysis::kCopyChance);
  EXPECT_GT(guessed.interval().high, analysis::kCopyChance);
  EXPECT_NEAR(guessed.loss().value, std::log(26.0), 1e-4);
}

TEST(CopyTask, ScoresTheLastBytesOfADecoder) {
  torch::manual_seed(4);
  model::Decoder decoder(small_model());
  const torch::NoGradGuard no_grad;
  const TaskGrid grid{.lengths = {64}, .depths = {30}, .trials = 1, .seed = 9};
  const auto cells = analysis::evaluate_copying(analysis::last_logits_of(decoder), grid, 10);
  const auto tokens = analysis::tokens_of(analysis::copy_text(64, 30, 0, 10, 9));
  const auto losses = decoder->losses(tokens.slice(1, 0, 64).contiguous(), tokens.slice(1, 1).contiguous());
  EXPECT_NEAR(cells[0].losses[0], losses[0].slice(0, -8).mean().item<double>(), 1e-5);
}

TEST(Tasks, AModelThatIsNotFiniteIsNotScored) {
  model::Decoder decoder(small_model());
  const torch::NoGradGuard no_grad;
  decoder->parameters().front().fill_(std::numeric_limits<float>::quiet_NaN());
  const TaskGrid grid{.lengths = {64}, .depths = {0}, .trials = 1};
  expect_error([&] { analysis::evaluate_retrieval(analysis::last_logits_of(decoder), grid); },
               {"logits are not finite"});
  expect_error([&] { analysis::evaluate_copying(analysis::last_logits_of(decoder), grid, 10); },
               {"logits are not finite"});
  analysis::PositionLossSum sum(4);
  expect_error([&] { sum.add(torch::full({4}, std::numeric_limits<float>::infinity())); }, {"losses are not finite"});
}

TEST(Tasks, WrongGridsAreNamed) {
  const auto retrieve = [](const TaskGrid& grid) { return [grid] { analysis::evaluate_retrieval(find_digit, grid); }; };
  expect_error(retrieve({.lengths = {20}}), {"lengths must be at least", "got 20"});
  expect_error(retrieve({.lengths = {64}, .depths = {101}}), {"depths must be 0 to 100", "got 101"});
  expect_error(retrieve({.lengths = {64}, .trials = 0}), {"trials must be at least 1", "got 0"});
  expect_error([] { analysis::evaluate_copying(find_digit, {.lengths = {64}}, 2); }, {"at least 3 bytes", "got 2"});
  expect_error([] { analysis::evaluate_copying(find_digit, {.lengths = {64}}, 32); }, {"at least 78", "got 64"});
}

}  // namespace
}  // namespace lighthouse::test
