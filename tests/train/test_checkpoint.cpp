// Interrupted runs go on as if nothing had happened, and refuse what they cannot go on from.
#include <torch/types.h>
#include <torch/utils.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tiny_run.h"
#include "train/config_difference.h"
#include "train/run_folder.h"
#include "train/stored_model.h"
#include "train/trainer.h"

namespace lighthouse::test {
namespace {

using train::Checkpoint;
using train::FolderUse;
using train::RunConfig;
using train::RunFolder;
using train::Trainer;

/// A run, from its newest checkpoint where there is one, that stops after `last_step` (0: at its end).
train::RunResult run_until(const RunConfig& config, int64_t last_step, bool allow_changes = false) {
  Trainer trainer(config);
  RunFolder folder(config, FolderUse::kResume);
  const auto checkpoint = folder.newest_checkpoint([](const std::string&) {});
  if (checkpoint) trainer.restore(*checkpoint, "the checkpoint", allow_changes);
  train::Observer observer;
  int64_t step = 0;
  observer.on_step = [&](const train::StepRecord& record) { step = record.step; };
  observer.should_stop = [&] { return last_step > 0 && step >= last_step; };
  auto so_far = folder.begin(checkpoint);
  return trainer.run(observer, &folder, std::move(so_far));
}

/// What must repeat bit for bit: all that is recorded but times.
std::string essence(const train::Metrics& metrics) {
  std::ostringstream text;
  text << std::hexfloat;
  for (const auto& s : metrics.steps) {
    text << s.step << " " << s.tokens << " " << s.stage << " " << s.attention << " " << s.loss << " " << s.learning_rate
         << " " << s.gradient_norm << " " << s.retained_fraction << "\n";
  }
  for (const auto& v : metrics.validations) {
    text << v.step << " " << v.tokens << " " << v.stage << " " << v.stage_end << " " << v.dense_loss << " "
         << v.lighthouse_loss.value_or(0) << "\n";
  }
  return text.str();
}

std::string recorded(const RunConfig& config) {
  return essence(train::read_metrics(std::filesystem::path(config.output_dir) / "metrics.jsonl"));
}

RunConfig named_run(const TemporaryFolder& folder, const std::string& name) {
  RunConfig config = tiny_run(folder);
  config.output_dir = (folder.path() / name).string();
  config.training.validation_interval = 4;
  config.checkpoint.interval = 5;
  return config;
}

TEST(Checkpoint, ResumeIsExactWhereverARunStops) {
  const TemporaryFolder folder;
  const RunConfig whole = named_run(folder, "whole");
  run_until(whole, 0);
  const std::string expected = recorded(whole);
  for (const int64_t stop : {1, 4, 5, 11, 12, 13, 17}) {
    const RunConfig config = named_run(folder, "stopped-" + std::to_string(stop));
    const auto first = run_until(config, stop);
    EXPECT_TRUE(first.stopped) << stop;
    const auto second = run_until(config, 0);
    EXPECT_FALSE(second.stopped);
    EXPECT_EQ(recorded(config), expected) << stop;
    EXPECT_EQ(second.steps.size(), 18U);  // with those of the process before
    EXPECT_EQ(second.stages.size(), 2U);
    EXPECT_EQ(second.stages[0].steps, 12);
  }
  // A run that ended has nothing left to do.
  const auto again = run_until(whole, 0);
  EXPECT_EQ(recorded(whole), expected);
  EXPECT_EQ(again.steps.size(), 18U);
}

TEST(Checkpoint, LinesAfterTheCheckpointAreRecordedAgain) {
  const TemporaryFolder folder;
  const RunConfig whole = named_run(folder, "whole");
  run_until(whole, 0);
  const RunConfig config = named_run(folder, "killed");
  run_until(config, 7);
  const auto metrics = std::filesystem::path(config.output_dir) / "metrics.jsonl";
  // As a kill leaves it: steps that no checkpoint has, and half a line.
  std::ofstream(metrics, std::ios::app) << R"({"kind":"step","step":8})"
                                        << "\n"
                                        << R"({"kind":"st)";
  run_until(config, 0);
  EXPECT_EQ(recorded(config), recorded(whole));
  // A record that lost lines is not gone on with.
  const RunConfig cut = named_run(folder, "cut");
  run_until(cut, 7);
  const auto its_metrics = std::filesystem::path(cut.output_dir) / "metrics.jsonl";
  std::filesystem::resize_file(its_metrics, 100);
  expect_error([&] { run_until(cut, 0); }, {its_metrics.string(), "shorter than it was", "got 100"});
}

TEST(Checkpoint, AreKeptToANumber) {
  const TemporaryFolder folder;
  RunConfig config = named_run(folder, "run");
  config.checkpoint.interval = 1;
  config.checkpoint.keep = 3;
  run_until(config, 0);
  const auto paths = train::list_checkpoints(std::filesystem::path(config.output_dir) / "checkpoints");
  ASSERT_EQ(paths.size(), 3U);
  EXPECT_EQ(paths[0].filename(), "step-00000016.safetensors");
  EXPECT_EQ(paths[2].filename(), "step-00000018.safetensors");
}

TEST(Checkpoint, AreListedByTheirSteps) {
  const TemporaryFolder folder;
  for (const char* name : {"step-100000000.safetensors", "step-99999999.safetensors", "step-00000007.safetensors",
                           "step-00000008.safetensors.tmp", "step-x.safetensors", "notes"})
    folder.write(name, "");
  std::vector<std::string> names;
  for (const auto& path : train::list_checkpoints(folder.path())) names.push_back(path.filename().string());
  EXPECT_EQ(names, (std::vector<std::string>{"step-00000007.safetensors", "step-99999999.safetensors",
                                             "step-100000000.safetensors"}));
}

TEST(Checkpoint, RefusesWhatItDoesNotFit) {
  const TemporaryFolder folder;
  RunConfig config = named_run(folder, "run");
  run_until(config, 6);

  RunConfig other = config;
  other.model.hidden_size = 48;
  expect_error([&] { run_until(other, 0, true); }, {"another model", "model.hidden_size: 32 before, 48 now"});
  other = config;
  other.training.batch_size = 2;
  expect_error([&] { run_until(other, 0, true); }, {"steps of 128 tokens", "got 256 tokens", "--init"});
  other.data.context_length = 64;  // as many tokens again, in other sequences
  expect_error([&] { run_until(other, 0, true); }, {"sequences of 128", "sequences of 64"});
  other = config;
  other.optimizer.learning_rate = 1e-3;
  expect_error([&] { run_until(other, 0); }, {"optimizer.learning_rate: 0.005 before, 0.001 now", "--allow-changes"});
  other.stages[1].steps = 3;
  EXPECT_EQ(run_until(other, 0, true).steps.size(), 15U);
  other.stages = {stage(true, 10)};
  expect_error([&] { run_until(other, 0, true); }, {"at step 15", "the configuration has 10"});
}

TEST(Checkpoint, ALongerScheduleGoesOnWhereTheRunEnded) {
  const TemporaryFolder folder;
  RunConfig config = named_run(folder, "run");
  run_until(config, 0);
  config.stages[1].steps = 16;
  const auto result = run_until(config, 0, true);
  ASSERT_EQ(result.steps.size(), 28U);
  EXPECT_EQ(result.steps.back().step, 28);
  EXPECT_EQ(result.steps.back().attention, "dense");
}

TEST(Checkpoint, ARunThatGoesOnHidesItsOldResult) {
  const TemporaryFolder folder;
  RunConfig config = named_run(folder, "run");
  run_until(config, 0);
  const auto model = std::filesystem::path(config.output_dir) / "model.safetensors";
  {
    Trainer trainer(config);
    RunFolder(config, FolderUse::kResume).save_model(trainer.decoder(), trainer.data_fingerprint());
  }
  EXPECT_EQ(train::read_stored_model(config.output_dir).file, model);
  // Files of the user's stay, whatever they are called.
  const auto notes = std::filesystem::path(config.output_dir) / "notes.tmp";
  std::ofstream(notes) << "mine";
  run_until(config, 0);  // has ended already
  EXPECT_TRUE(std::filesystem::exists(model));
  config.stages[1].steps = 8;
  run_until(config, 19, true);
  EXPECT_FALSE(std::filesystem::exists(model));
  EXPECT_EQ(train::read_stored_model(config.output_dir).file.filename(), "step-00000019.safetensors");
  EXPECT_TRUE(std::filesystem::exists(notes));
}

TEST(Checkpoint, HarmlessChangesPass) {
  const TemporaryFolder folder;
  const RunConfig whole = named_run(folder, "whole");
  run_until(whole, 0);
  RunConfig config = named_run(folder, "run");
  run_until(config, 6);
  // The folder and the data may move, and checkpoints may come at another pace.
  std::filesystem::rename(config.output_dir, folder.path() / "moved");
  std::filesystem::rename(config.data.paths[0], folder.path() / "text moved");
  config.output_dir = (folder.path() / "moved").string();
  config.data.paths = {(folder.path() / "text moved").string()};
  config.checkpoint.interval = 1;
  run_until(config, 0);
  EXPECT_EQ(recorded(config), recorded(whole));
}

TEST(Checkpoint, RefusesOtherData) {
  const TemporaryFolder folder;
  const RunConfig config = named_run(folder, "run");
  run_until(config, 6);
  std::ofstream(config.data.paths[0], std::ios::app) << "more";
  expect_error([&] { run_until(config, 0); }, {"the data changed"});
}

TEST(Checkpoint, ADamagedOneIsPutAside) {
  const TemporaryFolder folder;
  const RunConfig whole = named_run(folder, "whole");
  run_until(whole, 0);
  const RunConfig config = named_run(folder, "run");
  run_until(config, 7);  // checkpoints of steps 5 and 7
  const auto checkpoints = std::filesystem::path(config.output_dir) / "checkpoints";
  std::filesystem::resize_file(checkpoints / "step-00000007.safetensors", 5000);
  std::string problem;
  {
    RunFolder run_folder(config, FolderUse::kResume);
    const auto checkpoint = run_folder.newest_checkpoint([&](const std::string& text) { problem = text; });
    ASSERT_TRUE(checkpoint);
    EXPECT_EQ(checkpoint->position.step, 5);
  }
  EXPECT_NE(problem.find("step-00000007.safetensors"), std::string::npos);
  EXPECT_NE(problem.find("going on from the one before"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(checkpoints / "step-00000007.safetensors.damaged"));
  run_until(config, 0);
  EXPECT_EQ(recorded(config), recorded(whole));

  const RunConfig hopeless = named_run(folder, "hopeless");
  run_until(hopeless, 2);
  const auto only = std::filesystem::path(hopeless.output_dir) / "checkpoints" / "step-00000002.safetensors";
  std::filesystem::resize_file(only, 5000);
  expect_error([&] { run_until(hopeless, 0); }, {only.string(), "no checkpoint is left"});
  EXPECT_TRUE(std::filesystem::exists(only)) << "for the user to look at";
}

TEST(Checkpoint, HoldsTheRandomState) {
  const TemporaryFolder folder;
  const RunConfig config = named_run(folder, "run");
  run_until(config, 6);
  const auto path = std::filesystem::path(config.output_dir) / "checkpoints" / "step-00000006.safetensors";
  const Checkpoint checkpoint = train::read_checkpoint(path);
  Trainer trainer(config);
  const torch::Tensor expected = at::globalContext().defaultGenerator(at::kCPU).get_state();  // nothing drew since
  torch::manual_seed(1);
  trainer.restore(checkpoint, "the checkpoint");
  EXPECT_TRUE(torch::equal(at::globalContext().defaultGenerator(at::kCPU).get_state(), expected));
  EXPECT_EQ(checkpoint.environment, train::environment(trainer.plan()));
  EXPECT_EQ(train::describe_differences({{"threads", "3"}}, {{"threads", "4"}}), "threads: 3 then, 4 now");
  EXPECT_EQ(train::describe_differences(checkpoint.environment, train::environment(trainer.plan())), "");
}

TEST(Checkpoint, NamesTensorsThatDoNotFit) {
  const TemporaryFolder folder;
  const RunConfig config = named_run(folder, "run");
  run_until(config, 6);
  const auto path = std::filesystem::path(config.output_dir) / "checkpoints" / "step-00000006.safetensors";
  const auto expect = [&](const auto& change, const std::vector<std::string>& parts) {
    Checkpoint checkpoint = train::read_checkpoint(path);
    change(checkpoint);
    Trainer trainer(config);
    expect_error([&] { trainer.restore(checkpoint, "X"); }, parts);
  };
  expect([](Checkpoint& c) { c.weights.pop_back(); }, {"X does not fit the model", "missing: "});
  expect([](Checkpoint& c) { c.second_moments.pop_back(); }, {"missing: optimizer.exp_avg_sq."});
  expect([](Checkpoint& c) { c.first_moments[0].second = torch::zeros({3}); }, {"optimizer.exp_avg.", "got Float [3]"});
  expect([](Checkpoint& c) { c.weights[0].second = c.weights[0].second.to(torch::kHalf); }, {"expected Float", "Half"});
  expect([](Checkpoint& c) { c.weights.emplace_back("more", torch::zeros({1})); }, {"unexpected: more"});
}

TEST(Config, DifferencesByKey) {
  const TemporaryFolder folder;
  RunConfig a = tiny_run(folder);
  RunConfig b = a;
  EXPECT_TRUE(train::config_differences(a, b).empty());
  b.stages[1].top_k = 16;
  b.checkpoint.keep = 9;
  b.attention.num_tiles = 2;
  const auto differences = train::config_differences(a, b);
  ASSERT_EQ(differences.size(), 3U);
  EXPECT_EQ(differences[0].key, "attention.num_tiles");
  EXPECT_EQ(differences[0].before, "absent");
  EXPECT_TRUE(differences[1].is_harmless());
  EXPECT_EQ(differences[2].key, "stages.1.top_k");
  EXPECT_FALSE(differences[2].is_harmless());
}

TEST(Config, NamingTheDefaultTopKIsNoDifference) {
  const TemporaryFolder folder;
  RunConfig left_out = tiny_run(folder);
  left_out.attention.top_k = {};
  RunConfig named = left_out;
  named.attention.top_k = 2;  // 128 tokens
  EXPECT_TRUE(train::config_differences(left_out, named).empty());
  named.attention.top_k = 4;
  const auto differences = train::config_differences(left_out, named);
  ASSERT_EQ(differences.size(), 1U);
  EXPECT_EQ(train::to_text(differences), "\n  attention.top_k: 2 before, 4 now");
}

}  // namespace
}  // namespace lighthouse::test
