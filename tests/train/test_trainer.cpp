// The loop against a plain one: torch's own optimiser over whole batches, and what is counted where steps are skipped.
#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adamw.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "tiny_run.h"
#include "train/run_folder.h"
#include "train/trainer.h"

namespace lighthouse::test {
namespace {

using torch::Tensor;
using train::RunConfig;
using train::Trainer;

/// Rows [count, N + 1] that `read(i, out)` writes.
template <typename Read>
Tensor rows_of(int64_t count, int64_t context, const Read& read) {
  const Tensor rows = torch::empty({count, context + 1}, torch::kInt64);
  for (int64_t i = 0; i < count; ++i) read(i, rows.data_ptr<int64_t>() + i * (context + 1));
  return rows;
}

Tensor loss_of_rows(model::Decoder& decoder, const Tensor& rows) {
  const Tensor logits = decoder->forward(rows.slice(1, 0, -1).contiguous());
  return torch::cross_entropy_loss(logits.flatten(0, 1), rows.slice(1, 1).flatten());
}

/// Gradients, moments, clipping and decay by torch, over all sequences of a step at once.
class PlainLoop {
 public:
  explicit PlainLoop(const RunConfig& config)
      : config_(config),
        decoder_(train::make_decoder(config, train::plan_compute(config))),
        corpus_(config.data, static_cast<uint64_t>(config.seed), config.model.vocab_size) {
    std::vector<Tensor> matrices, gains;
    for (const auto& parameter : decoder_->parameters()) (parameter.dim() > 1 ? matrices : gains).push_back(parameter);
    const auto& o = config.optimizer;
    const auto options = torch::optim::AdamWOptions(0).betas({o.beta1, o.beta2}).eps(o.epsilon);
    const auto group = [&](const std::vector<Tensor>& parameters, double decay) {
      auto own = options;
      return torch::optim::OptimizerParamGroup(parameters,
                                               std::make_unique<torch::optim::AdamWOptions>(own.weight_decay(decay)));
    };
    const std::vector<torch::optim::OptimizerParamGroup> groups = {group(matrices, o.weight_decay), group(gains, 0)};
    optimizer_ = std::make_unique<torch::optim::AdamW>(groups, options);
  }

  /// Loss and gradient norm of step `step`, counted from 0, which is then taken at the rate.
  std::pair<double, double> step(int64_t step, double rate) {
    const int64_t sequences = config_.training.batch_size * config_.training.accumulation_steps;
    const Tensor rows = rows_of(sequences, config_.data.context_length, [&](int64_t i, int64_t* out) {
      corpus_.read_training_sequence(step * sequences + i, out);
    });
    optimizer_->zero_grad();
    const Tensor loss = loss_of_rows(decoder_, rows);
    loss.backward();
    const double norm = torch::nn::utils::clip_grad_norm_(decoder_->parameters(), config_.optimizer.clip_norm);
    for (auto& group : optimizer_->param_groups()) group.options().set_lr(rate);
    optimizer_->step();
    return {loss.item<double>(), norm};
  }

  model::Decoder& decoder() { return decoder_; }

 private:
  RunConfig config_;
  model::Decoder decoder_;
  train::Corpus corpus_;
  std::unique_ptr<torch::optim::AdamW> optimizer_;
};

TEST(Trainer, IsAPlainLoop) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  config.stages = {stage(false, 3), stage(false, 5)};
  config.training.batch_size = 2;
  config.training.accumulation_steps = 3;
  config.optimizer.clip_norm = 1.78;
  config.optimizer.weight_decay = 0.3;
  config.schedule.kind = train::ScheduleKind::kLinear;
  config.schedule.warmup_steps = 2;
  Trainer trainer(config);
  const auto result = trainer.run();
  ASSERT_EQ(result.steps.size(), 8U);
  PlainLoop plain(config);
  const std::vector<double> rates = {0.5, 1, 1, 5.0 / 6, 4.0 / 6, 3.0 / 6, 2.0 / 6, 1.0 / 6};  // over both stages
  std::vector<double> norms;
  for (size_t i = 0; i < rates.size(); ++i) {
    const double rate = rates[i] * config.optimizer.learning_rate;
    const auto [loss, norm] = plain.step(static_cast<int64_t>(i), rate);
    EXPECT_NEAR(result.steps[i].learning_rate, rate, 1e-12);
    EXPECT_NEAR(result.steps[i].loss, loss, 1e-4) << "step " << i;
    EXPECT_NEAR(result.steps[i].gradient_norm, norm, 1e-3 * norm) << "step " << i;
    EXPECT_EQ(result.steps[i].tokens, static_cast<int64_t>(i + 1) * 6 * 128);
    norms.push_back(norm);
  }
  const auto [least, most] = std::minmax_element(norms.begin(), norms.end());
  EXPECT_TRUE(*least < config.optimizer.clip_norm && config.optimizer.clip_norm < *most)
      << "some gradients should be clipped, some not, of norms " << testing::PrintToString(norms);
  const auto expected = plain.decoder()->parameters();
  const auto got = trainer.decoder()->parameters();
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_LT((got[i] - expected[i]).abs().max().item<double>(), 0.02 * config.optimizer.learning_rate) << i;
}

TEST(Trainer, ValidatesUnderBothAttentions) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  config.stages = {stage(true, 4)};
  config.training.validation_interval = 2;
  config.training.validation_sequences = 100000;  // more than there are
  Trainer trainer(config);
  const auto result = trainer.run();
  ASSERT_EQ(result.validations.size(), 2U);
  const torch::NoGradGuard no_grad;
  const int64_t count = trainer.corpus().validation_sequences();
  const Tensor rows = rows_of(count, config.data.context_length, [&](int64_t i, int64_t* out) {
    trainer.corpus().read_validation_sequence(i, count, out);
  });
  const auto& last = result.validations.back();
  trainer.decoder()->set_attention(model::AttentionKind::kDense);
  EXPECT_NEAR(last.dense_loss, loss_of_rows(trainer.decoder(), rows).item<double>(), 1e-5);
  trainer.decoder()->set_attention(model::AttentionKind::kLighthouse, config.attention_of(config.stages[0]));
  ASSERT_TRUE(last.lighthouse_loss);
  EXPECT_NEAR(*last.lighthouse_loss, loss_of_rows(trainer.decoder(), rows).item<double>(), 1e-5);
  EXPECT_NE(*last.lighthouse_loss, last.dense_loss);
}

TEST(Trainer, KeepsNoMoreThanAllTokens) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  config.attention.top_k = 64;  // 32 coarsest windows of 128 tokens: all of the pyramid, 224 rows
  config.stages = {stage(true, 1), stage(false, 1)};
  EXPECT_GT(retained_length(config.data.context_length, config.attention_of(config.stages[0])), 128);
  const auto result = Trainer(config).run();
  EXPECT_EQ(result.steps[0].retained_fraction, 1.0);
  EXPECT_EQ(result.stages[0].retained_fraction, 1.0);
}

/// Makes every second step one that is not finite, beginning with the second, by a weight that is NaN for its time.
class EverySecondStepFails {
 public:
  explicit EverySecondStepFails(Trainer& trainer) : weight_(trainer.decoder()->parameters().front()) {}

  void after(const train::StepRecord& record) {
    EXPECT_EQ(record.skipped, failing_) << record.step;
    failing_ = !failing_;
    const torch::NoGradGuard no_grad;
    if (failing_) {
      whole_ = weight_.clone();
      weight_.fill_(NAN);
    } else {
      weight_.copy_(whole_);
    }
  }

 private:
  Tensor weight_;
  Tensor whole_;
  bool failing_ = false;
};

TEST(Trainer, CountsSkippedStepsInARowOnly) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  config.stages = {stage(false, 12)};
  config.training.max_skipped_steps = 2;
  config.training.log_interval = 1000;  // the record has the skipped steps alone
  train::RunFolder run_folder(config, train::FolderUse::kNew);
  run_folder.begin(std::nullopt);
  {
    Trainer trainer(config);
    EverySecondStepFails failures(trainer);
    int64_t step = 0;
    train::Observer observer;
    observer.on_step = [&](const train::StepRecord& record) {
      step = record.step;
      failures.after(record);
    };
    observer.should_stop = [&] { return step == 6; };
    const auto result = trainer.run(observer, &run_folder);
    EXPECT_TRUE(result.stopped);
    EXPECT_EQ(train::count_skipped(result.steps), 3);
  }
  // Steps 2, 4 and 6 were skipped: of those that go on, the seventh is the second in a row.
  const auto checkpoint = run_folder.newest_checkpoint([](const std::string&) {});
  ASSERT_TRUE(checkpoint);
  Trainer again(config);
  again.restore(*checkpoint, "the checkpoint");
  {
    const torch::NoGradGuard no_grad;
    again.decoder()->parameters().front().fill_(NAN);
  }
  expect_error([&] { again.run({}, &run_folder, run_folder.begin(checkpoint)); },
               {"2 steps in a row, up to step 7", "not finite"});
}

}  // namespace
}  // namespace lighthouse::test
