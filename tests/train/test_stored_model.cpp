// A model by its path: which file it is read from, and what is said where there is another thing.
#include <torch/types.h>

#include <filesystem>
#include <fstream>

#include "io/system_error.h"
#include "tiny_run.h"
#include "train/run_folder.h"
#include "train/stored_model.h"
#include "train/trainer.h"

namespace lighthouse::test {
namespace {

namespace fs = std::filesystem;

/// A finished run with checkpoints of steps 2 and 4 and a result.
struct FinishedRun {
  TemporaryFolder folder;
  train::RunConfig config = tiny_run(folder);
  fs::path run = config.output_dir;
  fs::path first = run / "checkpoints" / "step-00000002.safetensors";
  fs::path last = run / "checkpoints" / "step-00000004.safetensors";
  fs::path result = run / "model.safetensors";

  FinishedRun() {
    config.stages = {stage(true, 4)};
    config.checkpoint.interval = 2;
    train::Trainer trainer(config);
    train::RunFolder run_folder(config, train::FolderUse::kNew);
    trainer.run({}, &run_folder, run_folder.begin(std::nullopt));
    run_folder.save_model(trainer.decoder(), trainer.data_record());
  }

  static void damage(const fs::path& file) { fs::resize_file(file, fs::file_size(file) - 8); }
};

TEST(StoredModel, FallsBackToWhatIsWhole) {
  const FinishedRun finished;
  EXPECT_EQ(train::read_stored_model(finished.run).file, finished.result);
  EXPECT_EQ(train::read_stored_model(finished.run).remark, "");
  FinishedRun::damage(finished.result);
  auto stored = train::read_stored_model(finished.run);
  EXPECT_EQ(stored.file, finished.last);
  EXPECT_NE(stored.remark.find("model.safetensors: the tensors end at"), std::string::npos) << stored.remark;
  EXPECT_NE(stored.remark.find("Read instead: " + finished.last.string()), std::string::npos) << stored.remark;
  fs::remove(finished.result);
  FinishedRun::damage(finished.last);
  stored = train::read_stored_model(finished.run);
  EXPECT_EQ(stored.file, finished.first);
  EXPECT_NE(stored.remark.find("step-00000004.safetensors"), std::string::npos) << stored.remark;
  EXPECT_EQ(train::load_run(finished.run).remark, stored.remark);
  EXPECT_TRUE(fs::exists(finished.last)) << "who reads puts nothing aside";
  FinishedRun::damage(finished.first);
  expect_error([&] { train::read_stored_model(finished.run); },
               {"step-00000004.safetensors", "step-00000002.safetensors", "no other file of the model"});
}

TEST(StoredModel, DoesNotFallBackFromWhatCannotBeRead) {
  const FinishedRun finished;
  fs::remove(finished.result);
  fs::remove(finished.last);
  fs::create_symlink(finished.last.filename(), finished.last);
  EXPECT_THROW(train::read_stored_model(finished.run), io::SystemError);
}

TEST(StoredModel, IsNamedByItsOwnFileToo) {
  const FinishedRun finished;
  EXPECT_EQ(train::read_stored_model(finished.result).file, finished.result);
  EXPECT_EQ(train::read_stored_config(finished.result).total_steps(), 4);
  EXPECT_EQ(train::read_stored_model(finished.first).file, finished.first);
}

TEST(StoredModel, NamesWhatThereIsInstead) {
  const FinishedRun finished;
  const auto expect = [](const fs::path& path, const std::vector<std::string>& parts) {
    expect_error([&] { train::read_stored_model(path); }, parts);
    expect_error([&] { train::load_run(path); }, parts);
  };
  expect("/no/such/run",
         {"cannot read /no/such/run/config.toml", "there is no /no/such/run", "expected a run's folder"});
  expect(finished.folder.path(), {"/config.toml: ", "is another folder", "expected a run's folder"});
  expect(finished.run / "checkpoints", {"holds a run's checkpoints", "the run's folder, " + finished.run.string()});
  expect(fs::path(finished.run / "checkpoints") / "", {"holds a run's checkpoints"});
  expect(finished.run / "metrics.jsonl", {"is no checkpoint: name the run's folder"});
  expect(finished.run / "config.toml", {"is no checkpoint: name the run's folder"});
  const auto exported = finished.folder.write("exported/config.json", "{}").parent_path();
  fs::copy_file(finished.result, exported / "model.safetensors");
  expect(exported, {"a model in Hugging Face's format", " import ", exported.string()});
  expect(exported / "model.safetensors", {"belongs to a model in Hugging Face's format"});
  fs::remove(finished.result);
  fs::remove_all(finished.run / "checkpoints");
  expect(finished.run, {"has neither model.safetensors nor a checkpoint", "has written none yet"});
}

/// A count of layers, or a size, that no file could be of is refused before names are listed or memory is asked for.
TEST(StoredModel, IsComparedWithItsConfigurationFirst) {
  const FinishedRun finished;
  const auto expect = [&](const std::string& key, const std::string& value, const std::vector<std::string>& parts) {
    train::RunConfig config = finished.config;
    std::string text = train::to_toml(config);
    const size_t begin = text.find("\n" + key + " = ") + key.size() + 4;
    text.replace(begin, text.find('\n', begin) - begin, value);
    std::ofstream(finished.run / "config.toml") << text;
    expect_error([&] { train::load_run(finished.run); }, parts);
  };
  expect("num_hidden_layers", "60000", {"num_hidden_layers is 60000", "tensors of 2 layers"});
  expect("vocab_size", "2000000000", {"does not fit the model", "[2000000000, 32]"});
  expect("intermediate_size", "12345678", {"does not fit the model", "[12345678, 32]"});
}

}  // namespace
}  // namespace lighthouse::test
