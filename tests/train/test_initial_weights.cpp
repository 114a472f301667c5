// Runs that start from another model's weights: which configurations may, and what they take from it.
#include <torch/types.h>

#include "io/atomic_file.h"
#include "tiny_run.h"
#include "train/initial_weights.h"
#include "train/run_folder.h"
#include "train/stored_model.h"
#include "train/trainer.h"

namespace lighthouse::test {
namespace {

using train::RunConfig;

/// A finished run of no steps but the first, as a source of weights.
RunConfig source_run(const TemporaryFolder& folder) {
  RunConfig config = tiny_run(folder);
  config.output_dir = (folder.path() / "source").string();
  config.stages = {stage(false, 1)};
  train::Trainer trainer(config);
  train::RunFolder run(config, train::FolderUse::kNew);
  run.begin(std::nullopt);
  trainer.run({}, &run);
  run.save_model(trainer.decoder(), trainer.data_fingerprint());
  folder.write("source/huggingface/tokenizer.json", "{}");
  return config;
}

/// A configuration's file without [model], and what it reads as.
RunConfig read(const TemporaryFolder& folder, const std::string& model, const std::string& init, bool resume = false) {
  const std::string text = "seed = 5\noutput_dir = \"" + (folder.path() / "next").string() + "\"\n" + model +
                           "\n[data]\npaths = [\"" + (folder.path() / "text").string() +
                           "\"]\ncontext_length = 128\n[[stages]]\nattention = \"dense\"\nsteps = 2\n";
  return train::load_run_config(folder.write("next.toml", text), {}, init, resume);
}

TEST(InitialWeights, TakeKeysThatAreLeftOut) {
  const TemporaryFolder folder;
  const RunConfig source = source_run(folder);
  const RunConfig config = read(folder, "[model]\nfull_attention_layers = [1]", source.output_dir);
  EXPECT_EQ(config.init, source.output_dir);
  EXPECT_EQ(config.model.hidden_size, 32);
  EXPECT_EQ(config.model.num_key_value_heads, 1);
  EXPECT_EQ(config.model.full_attention_layers, (std::vector<int64_t>{1}));

  train::Trainer trainer(config);
  train::load_initial_weights(config, trainer.decoder(), false);
  const auto expected = train::read_stored_model(source.output_dir).weights;
  const auto got = model::named_parameters(*trainer.decoder());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(torch::equal(got[i].second, expected[i].second));

  // What came with the model comes along, once.
  train::RunFolder run(config, train::FolderUse::kNew);
  run.begin(std::nullopt);
  EXPECT_EQ(train::carried_files(config.output_dir), folder.path() / "next" / "huggingface");
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "next" / "huggingface" / "tokenizer.json"));

  // A resume knows where the run came from, and needs it no more for its shape.
  std::filesystem::remove_all(source.output_dir);
  EXPECT_EQ(train::to_toml(read(folder, "[model]\nfull_attention_layers = [1]", "", /*resume=*/true)),
            train::to_toml(config));
}

TEST(InitialWeights, NameTheKeysThatDiffer) {
  const TemporaryFolder folder;
  const RunConfig source = source_run(folder);
  const auto load = [&](const std::string& model, bool allow_changes) {
    const RunConfig config = read(folder, model, source.output_dir);
    model::Decoder decoder(config.model);
    train::load_initial_weights(config, decoder, allow_changes);
  };
  expect_error([&] { load("[model]\nhidden_size = 64", true); },
               {source.output_dir, "another model", "model.hidden_size: 32 there, 64 in the configuration", "Leave"});
  expect_error([&] { load("[model]\nrope_theta = 500000", false); },
               {"model.rope_theta: 10000.0 there, 500000.0 in the configuration", "--allow-changes"});
  load("[model]\nrope_theta = 500000\ninitializer_range = 0.1", true);
  expect_error([&] { read(folder, "", (folder.path() / "none").string()); }, {"none/config.toml"});
  expect_error([&] { read(folder, "init = \"" + (folder.path() / "next").string() + "\"", ""); }, {"config.toml"});
}

// A run that was begun when the default was another has that number in its config.toml.
TEST(InitialWeights, ARunKeepsTheTopKThatItWasBegunWith) {
  const TemporaryFolder folder;
  RunConfig begun = tiny_run(folder);
  begun.attention.top_k = 16;
  begun.stages = {stage(true, 2)};
  begun.checkpoint.interval = 1;
  {
    train::Trainer trainer(begun);
    train::RunFolder run(begun, train::FolderUse::kNew);
    run.begin(std::nullopt);
    train::Observer observer;
    observer.should_stop = [] { return true; };
    trainer.run(observer, &run);
  }
  const std::string stored = train::to_toml(begun);
  ASSERT_NE(stored.find("top_k = 16\n"), std::string::npos);
  std::string text = stored;  // the user's file names none
  text.erase(text.find("top_k = 16\n"), std::string("top_k = 16\n").size());
  const auto path = folder.write("mine.toml", text);
  const auto load = [&](bool resume, const std::vector<std::string>& overrides = {}) {
    return train::load_run_config(path, overrides, "", resume);
  };

  const RunConfig resumed = load(/*resume=*/true);
  EXPECT_EQ(train::to_toml(resumed), stored);
  train::Trainer trainer(resumed);
  train::RunFolder run(resumed, train::FolderUse::kResume);
  const auto checkpoint = run.newest_checkpoint([](const std::string& problem) { ADD_FAILURE() << problem; });
  ASSERT_TRUE(checkpoint);
  trainer.restore(*checkpoint, "the checkpoint");
  EXPECT_EQ(trainer.step(), 1);

  EXPECT_EQ(load(/*resume=*/false).attention.top_k, std::nullopt) << "a new run has the default";
  const RunConfig other = load(/*resume=*/true, {"attention.top_k=12"});
  EXPECT_EQ(other.attention.top_k, 12) << "what is named holds";
  expect_error([&] { train::Trainer(other).restore(*checkpoint, "X"); }, {"attention.top_k: 16 before, 12 now"});
}

TEST(InitialWeights, AreNotOverwrittenByTheirOwnRun) {
  const TemporaryFolder folder;
  const RunConfig source = source_run(folder);
  std::filesystem::create_directory_symlink(source.output_dir, folder.path() / "next");
  RunConfig config = source;
  config.init = source.output_dir;
  config.output_dir = (folder.path() / "next").string();
  expect_error([&] { train::RunFolder(config, train::FolderUse::kOverwrite); },
               {"init must name another folder than output_dir"});
}

}  // namespace
}  // namespace lighthouse::test
