// The training loop: it learns, it repeats itself exactly, and stages share one optimiser state and one stream.
#include <torch/torch.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "temporary_folder.h"
#include "tiny_run.h"
#include "train/run_folder.h"
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

  run_folder.save_model(trainer.decoder());
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

TEST(Training, OneProcessAtATime) {
  const TemporaryFolder folder;
  const RunConfig config = tiny_run(folder);
  const train::RunFolder first(config, train::FolderUse::kNew);
  expect_error([&] { train::RunFolder(config, train::FolderUse::kResume); }, {"another process is using", "run"});
}

TEST(Training, StopsWhereTheLossIsNotFinite) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  config.optimizer.learning_rate = 1e30;
  config.optimizer.clip_norm = 0;
  expect_error([&] { Trainer(config).run(); }, {"is not finite", "learning_rate"});
}

}  // namespace
}  // namespace lighthouse::test
