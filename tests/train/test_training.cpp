// The training loop: it learns, it repeats itself exactly, and stages share one optimiser state and one stream.
#include <torch/nn/modules/linear.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adamw.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "temporary_folder.h"
#include "tiny_run.h"
#include "train/memory_estimate.h"
#include "train/optimizer.h"
#include "train/run_folder.h"
#include "train/stored_model.h"
#include "train/trainer.h"

namespace lighthouse::test {
namespace {

using train::RunConfig;
using train::StageConfig;
using train::Trainer;

std::vector<double> losses(const train::RunResult& result) {
  std::vector<double> values;
  for (const auto& step : result.steps) values.push_back(step.loss);
  return values;
}

TEST(Training, LearnsAndRecords) {
  const TemporaryFolder folder;
  const RunConfig config = tiny_run(folder);
  Trainer trainer(config);
  int64_t stages_seen = 0;
  train::Observer observer;
  observer.on_stage = [&](const StageConfig&, int64_t index) { EXPECT_EQ(index, stages_seen++); };
  train::RunFolder run_folder(config, train::FolderUse::kNew);
  run_folder.begin(std::nullopt);
  const auto result = trainer.run(observer, &run_folder);
  ASSERT_EQ(result.steps.size(), 18U);
  EXPECT_LT(result.steps.back().loss, result.steps.front().loss - 1.0);
  EXPECT_EQ(result.steps[11].attention, "lighthouse");
  EXPECT_LT(result.steps[11].retained_fraction, 1.0);
  EXPECT_EQ(result.steps[12].attention, "dense");
  EXPECT_EQ(result.steps[12].retained_fraction, 1.0);
  ASSERT_EQ(result.validations.size(), 2U);
  EXPECT_TRUE(result.validations[0].lighthouse_loss.has_value());
  EXPECT_FALSE(result.validations[1].lighthouse_loss.has_value());
  EXPECT_LT(result.validations[1].dense_loss, result.validations[0].dense_loss);

  run_folder.save_model(trainer.decoder(), trainer.data_fingerprint());
  auto loaded = train::load_run(config.output_dir);
  const torch::NoGradGuard no_grad;
  const auto tokens = torch::randint(0, 256, {1, 60}, torch::kLong);
  EXPECT_TRUE(torch::equal(loaded.decoder(tokens), trainer.decoder()(tokens)));

  std::ifstream file(folder.path() / "run" / "metrics.jsonl");
  int64_t steps = 0;
  int64_t validations = 0;
  for (std::string line; std::getline(file, line);) {
    const auto record = nlohmann::json::parse(line);
    if (record["kind"] == "step") {
      EXPECT_EQ(record["step"], ++steps);
      EXPECT_EQ(record["tokens"], steps * 128);
      EXPECT_EQ(record["loss"].get<double>(), result.steps[static_cast<size_t>(steps - 1)].loss);
    } else {
      EXPECT_EQ(record["dense_loss"].get<double>(), result.validations[static_cast<size_t>(validations++)].dense_loss);
    }
  }
  EXPECT_EQ(steps, 18);
  EXPECT_EQ(validations, 2);
}

TEST(Training, StagesEndsAreRecordedAtAnyInterval) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);  // 12 steps, then 6
  config.training.log_interval = 7;
  Trainer trainer(config);
  train::RunFolder run_folder(config, train::FolderUse::kNew);
  run_folder.begin(std::nullopt);
  trainer.run({}, &run_folder);
  std::vector<int64_t> steps;
  for (const auto& step : train::read_metrics(folder.path() / "run" / "metrics.jsonl").steps)
    steps.push_back(step.step);
  EXPECT_EQ(steps, (std::vector<int64_t>{7, 12, 14, 18}));
}

/// In bfloat16 a sum of many rows of one token would stop growing.
TEST(Training, TheEmbeddingsGradientIsWholeInBfloat16) {
  const TemporaryFolder folder;
  torch::manual_seed(4);
  model::Decoder decoder(tiny_run(folder).model);
  const auto tokens = torch::randint(0, 3, {1, 4096}, torch::kLong);
  const auto targets = torch::randint(0, 256, {1, 4096}, torch::kLong);
  std::map<torch::ScalarType, torch::Tensor> gradients;
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    decoder->set_compute_type(type);
    decoder->zero_grad();
    decoder->loss(tokens, targets).backward();
    gradients[type] = decoder->named_parameters()["model.embed_tokens.weight"].grad().clone();
  }
  const auto& want = gradients[torch::kFloat];
  EXPECT_LT((gradients[torch::kBFloat16] - want).norm().item<double>(), 0.05 * want.norm().item<double>());
}

TEST(Training, RepeatsItselfBitForBit) {
  const TemporaryFolder folder;
  const RunConfig config = tiny_run(folder);
  const auto one = Trainer(config).run();
  const auto two = Trainer(config).run();
  EXPECT_EQ(losses(one), losses(two));
  EXPECT_EQ(one.validations.back().dense_loss, two.validations.back().dense_loss);
  RunConfig other = config;
  other.seed = 6;
  EXPECT_NE(losses(one), losses(Trainer(other).run()));
}

TEST(Training, StagesContinueOneRun) {
  // Dense, then dense again, is one dense run: nothing but the attention changes at a switch.
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  config.stages = {stage(false, 10)};
  const auto whole = losses(Trainer(config).run());
  config.stages = {stage(false, 4), stage(false, 6)};
  EXPECT_EQ(losses(Trainer(config).run()), whole);
  // And a Lighthouse stage sees the tokens that the dense one would have seen: with one level they are the same run.
  config.stages = {stage(true, 4), stage(false, 6)};
  config.attention.num_levels = 1;
  EXPECT_EQ(losses(Trainer(config).run()), whole);
}

TEST(Training, AccumulationEqualsALargerBatch) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  config.stages = {stage(false, 3)};
  config.training.batch_size = 4;
  const auto batched = losses(Trainer(config).run());
  config.training.batch_size = 2;
  config.training.accumulation_steps = 2;
  const auto accumulated = losses(Trainer(config).run());
  for (size_t i = 0; i < batched.size(); ++i) EXPECT_NEAR(batched[i], accumulated[i], 2e-4);
}

TEST(Training, AStageMayHaveItsOwnBudget) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  config.stages = {stage(true, 1), stage(true, 1)};
  config.stages[1].top_k = 16;
  const auto result = Trainer(config).run();
  EXPECT_LT(result.steps[0].retained_fraction, result.steps[1].retained_fraction);
}

TEST(Training, KeepsARunThatIsThere) {
  const TemporaryFolder folder;
  const RunConfig config = tiny_run(folder);
  const auto use = [&](const RunConfig& run, train::FolderUse how) { train::RunFolder(run, how).begin(std::nullopt); };
  use(config, train::FolderUse::kNew);
  expect_error([&] { use(config, train::FolderUse::kNew); }, {"holds config.toml already", "--overwrite", "--resume"});
  use(config, train::FolderUse::kOverwrite);
  // Nor is somebody else's model replaced.
  RunConfig other = config;
  other.output_dir = (folder.path() / "model").string();
  folder.write("model/model.safetensors", "weights");
  expect_error([&] { use(other, train::FolderUse::kNew); }, {"holds model.safetensors already"});
}

/// A layer that is named twice was counted as two, and a policy chosen that does not fit.
TEST(Training, ALayerThatIsNamedTwiceIsOneLayer) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  config.model.full_attention_layers = {1};
  const auto kept = [&] { return train::estimate_memory(config, 4, model::Recompute::kNone).activations; };
  const double once = kept();
  config.model.full_attention_layers = {1, 1, 1, 1};
  EXPECT_EQ(kept(), once);
  EXPECT_EQ(train::parse_config(train::to_toml(config), "twice.toml").model.full_attention_layers,
            (std::vector<int64_t>{1}));
}

TEST(Training, OneProcessAtATime) {
  const TemporaryFolder folder;
  const RunConfig config = tiny_run(folder);
  const train::RunFolder first(config, train::FolderUse::kNew);
  expect_error([&] { train::RunFolder(config, train::FolderUse::kResume); }, {"another process is using", "run"});
}

TEST(Training, StopsWhereStepsAreNotFinite) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  config.optimizer.learning_rate = 1e30;
  config.optimizer.clip_norm = 0;
  config.training.max_skipped_steps = 3;
  train::RunFolder run_folder(config, train::FolderUse::kNew);
  run_folder.begin(std::nullopt);
  Trainer trainer(config);
  expect_error([&] { trainer.run({}, &run_folder); },
               {"3 steps in a row", "not finite", "skipped", "checkpoint", "learning_rate"});
  const auto metrics = train::read_metrics(folder.path() / "run" / "metrics.jsonl");
  ASSERT_GE(metrics.steps.size(), 4U);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(metrics.steps[metrics.steps.size() - 1 - i].skipped);
  EXPECT_FALSE(metrics.steps.front().skipped);
  EXPECT_EQ(train::list_checkpoints(folder.path() / "run" / "checkpoints").size(), 1U);

  // Nor does a run that goes on from there get as many again: the next one stops it.
  const int64_t stopped = metrics.steps.back().step;
  Trainer again(config);
  const auto checkpoint = run_folder.newest_checkpoint([](const std::string&) {});
  ASSERT_TRUE(checkpoint);
  again.restore(*checkpoint, "the checkpoint");
  expect_error([&] { again.run({}, &run_folder, run_folder.begin(checkpoint)); }, {"4 steps in a row", "not finite"});
  EXPECT_EQ(again.step(), stopped + 1);
}

TEST(Training, BlamesFirstWeightsWhereNoStepWasTaken) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  config.model.initializer_range = 1e38;  // some of them are infinite
  config.training.max_skipped_steps = 3;
  Trainer trainer(config);
  expect_error([&] { trainer.run({}); },
               {"3 steps in a row", "up to step 3", "No step was taken", "initializer_range"});
}

TEST(Optimizer, SkipsWhatIsNotFinite) {
  torch::nn::Linear module(3, 2);
  train::AdamW optimizer(*module, {});
  const auto before = module->weight.detach().clone();
  const auto set = [&](double value) {
    for (auto& parameter : module->parameters()) parameter.mutable_grad() = torch::full_like(parameter, value);
  };
  set(1.0);
  module->weight.mutable_grad()[1][2] = INFINITY;
  const auto skipped = optimizer.step(0.1, torch::tensor(1.0F));
  EXPECT_EQ(skipped[2].item<float>(), 1);
  EXPECT_TRUE(torch::equal(module->weight, before));
  EXPECT_EQ(optimizer.states()[0].steps.item<float>(), 0);
  set(1.0);
  EXPECT_EQ(optimizer.step(0.1, torch::tensor(NAN))[2].item<float>(), 1);
  EXPECT_TRUE(torch::equal(module->weight, before));
  const auto taken = optimizer.step(0.1, torch::tensor(1.0F));
  EXPECT_EQ(taken[2].item<float>(), 0);
  EXPECT_FLOAT_EQ(taken[1].item<float>(), std::sqrt(8.0F));
  EXPECT_EQ(optimizer.states()[0].steps.item<float>(), 1);
}

TEST(Optimizer, IsTorchsAdamWWithClipping) {
  // Against torch::optim::AdamW and clip_grad_norm_, in the same order.
  torch::manual_seed(3);
  torch::nn::Linear ours(5, 4), theirs(5, 4);
  const auto copy = [&](const torch::nn::Linear& from, torch::nn::Linear& to) {
    const torch::NoGradGuard no_grad;
    to->weight.copy_(from->weight);
    to->bias.copy_(from->bias);
  };
  copy(ours, theirs);
  train::OptimizerConfig config;
  config.clip_norm = 0.5;
  train::AdamW optimizer(*ours, config);
  const auto options = [&](double decay) {
    return std::make_unique<torch::optim::AdamWOptions>(
        torch::optim::AdamWOptions(0.01).betas({config.beta1, config.beta2}).eps(config.epsilon).weight_decay(decay));
  };
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(std::vector<torch::Tensor>{theirs->weight}, options(config.weight_decay));
  groups.emplace_back(std::vector<torch::Tensor>{theirs->bias}, options(0));
  torch::optim::AdamW reference(groups, torch::optim::AdamWOptions(0.01));
  for (int step = 0; step < 6; ++step) {
    const auto x = torch::randn({3, 5});
    ours->zero_grad();
    theirs->zero_grad();
    ours->forward(x).square().sum().backward();
    theirs->forward(x).square().sum().backward();
    optimizer.step(0.01, torch::tensor(0.0F));
    torch::nn::utils::clip_grad_norm_(theirs->parameters(), config.clip_norm);
    reference.step();
    EXPECT_TRUE(torch::allclose(ours->weight, theirs->weight, 1e-5, 1e-6));
    EXPECT_TRUE(torch::allclose(ours->bias, theirs->bias, 1e-5, 1e-6));
  }
}

}  // namespace
}  // namespace lighthouse::test
