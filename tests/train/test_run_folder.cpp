// A run's folder that something happened to: what --resume goes on from, what it refuses, and that a refusal changes
// nothing.
#include <torch/types.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "io/input_file.h"
#include "io/system_error.h"
#include "tiny_run.h"
#include "train/run_folder.h"
#include "train/stored_model.h"
#include "train/trainer.h"

namespace lighthouse::test {
namespace {

namespace fs = std::filesystem;
using train::FolderUse;
using train::RunConfig;
using train::RunFolder;
using train::Trainer;

/// Every file of a run's folder with its bytes; links by where they lead.
std::map<std::string, std::string> contents_of(const fs::path& folder) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::file_status status = entry.symlink_status();
    std::string& content = contents[entry.path().filename().string()];
    if (fs::is_symlink(status)) content = fs::read_symlink(entry.path()).string();
    if (fs::is_regular_file(status)) content = io::read_file(entry.path());
    if (!fs::is_directory(status)) continue;
    for (const auto& [name, text] : contents_of(entry.path())) content += name + "\n" + text + "\n";
  }
  return contents;
}

/// A run of 18 steps with checkpoints of steps 5, 10, 12, 15, 17 and so on, stopped after step 17; 10 and 17 by
/// default.
struct StoppedRun {
  TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  fs::path run = config.output_dir;
  fs::path checkpoints = run / "checkpoints";
  fs::path record = run / "metrics.jsonl";
  std::vector<std::string> problems;

  explicit StoppedRun(int64_t last_step = 17, int64_t keep = 9) {
    config.checkpoint.interval = 5;
    config.checkpoint.keep = keep;
    go_on(last_step);
  }

  std::optional<train::Checkpoint> newest(bool allow_lost = false) {
    RunFolder run_folder(config, FolderUse::kResume);
    return run_folder.newest_checkpoint([&](const std::string& text) { problems.push_back(text); }, allow_lost);
  }

  void go_on(int64_t last_step, bool allow_lost = false) {
    Trainer trainer(config);
    RunFolder run_folder(config, FolderUse::kResume);
    run_folder.tell_problems([&](const std::string& text) { problems.push_back(text); });
    const auto checkpoint = run_folder.newest_checkpoint([](const std::string&) {}, allow_lost);
    if (checkpoint) trainer.restore(*checkpoint, "the checkpoint");
    auto so_far = run_folder.begin(checkpoint);
    int64_t step = 0;
    train::Observer observer;
    observer.on_step = [&](const train::StepRecord& each) { step = each.step; };
    observer.should_stop = [&] { return step >= last_step; };
    trainer.run(observer, &run_folder, std::move(so_far));
  }

  /// What a resume does must be to refuse, and nothing else.
  void expect_refusal(const std::vector<std::string>& parts) {
    const auto before = contents_of(run);
    expect_error([&] { go_on(18); }, parts);
    EXPECT_EQ(contents_of(run), before);
  }
};

TEST(LostCheckpoints, AreNoReasonToBeginAnew) {
  StoppedRun moved;
  fs::rename(moved.checkpoints, moved.folder.path() / "elsewhere");
  moved.expect_refusal(
      {"metrics.jsonl goes to step 17", "no folder", "Put the checkpoints back", "move metrics.jsonl away"});
  fs::create_directory(moved.checkpoints);  // an empty mount
  moved.expect_refusal({"metrics.jsonl goes to step 17", "holds no checkpoint", "Nothing was changed"});
  fs::remove(moved.checkpoints);
  std::ofstream(moved.checkpoints) << "a file";
  moved.expect_refusal({"cannot list the checkpoints in", "Not a directory", "resume when they can be read"});
  fs::remove(moved.checkpoints);
  fs::create_symlink("checkpoints", moved.checkpoints);
  moved.expect_refusal({"cannot list the checkpoints in", "symbolic links"});
  fs::remove(moved.checkpoints);
  fs::create_directory(moved.checkpoints);
  fs::rename(moved.folder.path() / "elsewhere" / "step-00000017.safetensors",
             moved.checkpoints / "step-00000017.safetensors.damaged");
  moved.expect_refusal({"holds damaged checkpoints only"});
  // The way out that the message names.
  fs::rename(moved.record, moved.folder.path() / "metrics.jsonl");
  moved.go_on(2);
  EXPECT_EQ(train::read_metrics(moved.record).steps.size(), 2U);
}

TEST(LostCheckpoints, OfLaterStepsAreNotPassedOver) {
  StoppedRun run;
  fs::remove(run.checkpoints / "step-00000017.safetensors");
  EXPECT_EQ(run.newest()->position.step, 15) << "the one of step 20 was not due";
  fs::remove(run.checkpoints / "step-00000015.safetensors");
  run.expect_refusal({"goes to step 17", "is of step 12", "one of a later step is missing", "--allow-changes"});
  EXPECT_EQ(run.newest(/*allow_lost=*/true)->position.step, 12);
  run.go_on(18, /*allow_lost=*/true);
  EXPECT_EQ(train::read_metrics(run.record).steps.size(), 18U);
}

TEST(LostCheckpoints, DoNotCountWhereNoneWasDueYet) {
  StoppedRun run(3);  // stopped by a kill, for which its checkpoint is taken away
  fs::remove(run.checkpoints / "step-00000003.safetensors");
  EXPECT_EQ(run.newest(), std::nullopt);
  run.go_on(4);
  EXPECT_EQ(train::read_metrics(run.record).steps.size(), 4U);
}

/// Another interval on the command line does not change when the run before had to write.
TEST(LostCheckpoints, AreNotMissedWhereTheIntervalWasEdited) {
  StoppedRun run(9);  // killed, for which its last checkpoint is taken away
  fs::remove(run.checkpoints / "step-00000009.safetensors");
  run.config.checkpoint.interval = 1;
  std::ofstream(run.run / "config.toml") << train::to_toml(run.config);
  EXPECT_EQ(run.newest()->position.step, 5);
}

TEST(LostCheckpoints, AreCountedByTheRunsOwnInterval) {
  StoppedRun run(17, 1);
  fs::remove(run.checkpoints / "step-00000017.safetensors");
  run.config.checkpoint.interval = 1000;
  run.config.stages = {stage(true, 2000)};
  expect_error([&] { run.newest(); }, {"goes to step 17", "holds no checkpoint"});
}

/// A file whose header is damaged is not counted among those that are kept, and stops no removal of others.
TEST(RunFolders, KeepTheirNumberBesideADamagedFile) {
  StoppedRun run(12, 2);
  fs::remove(run.checkpoints / "step-00000010.safetensors");
  std::ofstream(run.checkpoints / "step-00000010.safetensors") << "damaged";
  run.go_on(17);
  std::vector<std::string> names;
  for (const auto& path : train::list_checkpoints(run.checkpoints)) names.push_back(path.filename().string());
  EXPECT_EQ(names, (std::vector<std::string>{"step-00000010.safetensors", "step-00000015.safetensors",
                                             "step-00000017.safetensors"}));
}

/// Whatever the system refuses says nothing about a file.
TEST(UnreadableCheckpoints, AreNotPutAside) {
  StoppedRun run;
  const fs::path newest = run.checkpoints / "step-00000017.safetensors";
  fs::rename(newest, run.folder.path() / "newest");
  fs::create_symlink(newest.filename(), newest);  // opening it fails, for root too
  run.expect_refusal({"cannot open", "step-00000017.safetensors", "stay as they are", "resume when they can be read"});
  EXPECT_THROW(run.newest(), io::SystemError);
  fs::remove(newest);
  fs::create_directory(newest);
  run.expect_refusal({"step-00000017.safetensors is not a regular file"});
  fs::remove(newest);
  std::ofstream(newest) << "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n";
  run.expect_refusal({"is a Git LFS pointer"});
  fs::remove(newest);
  fs::rename(run.folder.path() / "newest", newest);
  EXPECT_EQ(run.newest()->position.step, 17);
}

/// Where none is whole, all stay where they are, for the user to see.
TEST(UnreadableCheckpoints, AreNotPutAsideWhereNoneIsWhole) {
  StoppedRun run;
  for (const auto& path : train::list_checkpoints(run.checkpoints)) fs::resize_file(path, 100);
  run.expect_refusal({"step-00000017.safetensors", "step-00000005.safetensors", "no checkpoint is left to go on from"});
}

TEST(UnreadableCheckpoints, AreNotThoseOfOtherKinds) {
  StoppedRun run;
  const fs::path newest = run.checkpoints / "step-00000017.safetensors";
  auto file = model::read_safetensors(newest);
  file.metadata["kind"] = "lighthouse checkpoint 2";
  model::write_safetensors(newest, file.tensors, file.metadata);
  run.expect_refusal({"expected a \"lighthouse checkpoint 1\"", "another release"});
  model::write_safetensors(newest, file.tensors);
  run.expect_refusal({"no \"kind\""});
  std::ofstream(newest) << "no checkpoint at all";
  EXPECT_EQ(run.newest()->position.step, 15);
  EXPECT_TRUE(fs::exists(newest.string() + ".damaged"));
}

TEST(EditedRecords, KeepTheirLines) {
  StoppedRun run;
  const std::string plain = io::read_file(run.record);
  std::string with_returns;
  for (const char c : plain) with_returns += c == '\n' ? std::string("\r\n") : std::string(1, c);
  const std::string mark = "\xEF\xBB\xBF";
  const std::map<std::string, std::string> edits = {
      {"line ends", with_returns},           {"a mark of byte order", mark + plain},
      {"both", mark + with_returns},         {"blank last lines", plain + "\n\n\r\n"},
      {"a blank line within", "\n" + plain}, {"no last line end", plain.substr(0, plain.size() - 1)}};
  for (const auto& [name, text] : edits) {
    std::ofstream(run.record, std::ios::binary) << text;
    EXPECT_EQ(train::read_metrics(run.record).steps.size(), name == "no last line end" ? 16U : 17U) << name;
    RunFolder run_folder(run.config, FolderUse::kResume);
    const auto checkpoint = run_folder.newest_checkpoint([](const std::string&) {});
    EXPECT_EQ(run_folder.begin(checkpoint).steps.size(), 17U) << name;
    EXPECT_EQ(io::read_file(run.record), plain) << name;
  }
  run.go_on(18);
  EXPECT_EQ(train::read_metrics(run.record).steps.size(), 18U);
}

TEST(EditedRecords, OfOtherLinesAreRefused) {
  StoppedRun run;
  const std::string plain = io::read_file(run.record);
  const auto expect = [&](const std::string& text, const std::vector<std::string>& parts) {
    std::ofstream(run.record, std::ios::binary) << text;
    run.expect_refusal(parts);
  };
  const size_t second = plain.find('\n') + 1;
  expect("# a note\n" + plain, {"metrics.jsonl, line 1", "# a note"});
  expect(plain.substr(0, second) + "# a note\n" + plain.substr(second), {"metrics.jsonl, line 2", "# a note"});
  expect(plain + "# a note\n", {"metrics.jsonl, line", "# a note", "move the line to another file first"});
  expect(plain + "# a note", {"metrics.jsonl, line", "# a note"});
  expect(plain.substr(second), {"is shorter than it was"});
  std::string other = plain;
  other.replace(other.find("\"loss\":"), 7, "\"loss\":1");  // a digit more
  expect(other, {"metrics.jsonl was changed: its lines up to step 17", "--init"});
  expect(plain.substr(0, second) + plain, {"was changed"});
  fs::remove(run.record);
  run.expect_refusal({"metrics.jsonl is not there", "the checkpoint of step 17", "Put the record back"});
  // A power cut leaves zeros, and a kill the beginning of a line.
  std::ofstream(run.record, std::ios::binary) << plain << std::string(100, '\0') << "\n{\"kind\":\"st";
  run.go_on(18);
  EXPECT_EQ(train::read_metrics(run.record).steps.size(), 18U);
}

TEST(EditedRecords, ARefusalKeepsTheResult) {
  StoppedRun run(18);
  {
    Trainer trainer(run.config);
    RunFolder(run.config, FolderUse::kResume).save_model(trainer.decoder(), trainer.data_record());
  }
  run.config.stages[1].steps = 10;  // the result would be taken away, while the run goes on
  fs::resize_file(run.record, 100);
  const auto before = contents_of(run.run);
  RunFolder run_folder(run.config, FolderUse::kResume);
  const auto checkpoint = run_folder.newest_checkpoint([](const std::string&) {});
  expect_error([&] { run_folder.begin(checkpoint); }, {"is shorter than it was", "got 100"});
  EXPECT_EQ(contents_of(run.run), before);
}

TEST(TensorBoard, IsNoReasonToEndARun) {
  StoppedRun run(3);
  const fs::path events = run.run / train::kTensorBoardName;
  fs::remove(events);
  fs::create_directory(events);
  run.go_on(18);
  EXPECT_EQ(train::read_metrics(run.record).steps.size(), 18U);
  ASSERT_EQ(run.problems.size(), 1U) << "said once";
  EXPECT_NE(run.problems[0].find("without its file for TensorBoard"), std::string::npos) << run.problems[0];
  EXPECT_NE(run.problems[0].find(train::kTensorBoardName), std::string::npos);
}

/// A folder's name may have any bytes; JSON and TOML are UTF-8.
TEST(RunFolders, MayHaveNamesThatAreNotUtf8) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  config.output_dir = (folder.path() / "caf\xe9 \xff").string();
  config.stages = {stage(true, 2)};
  Trainer trainer(config);
  RunFolder run_folder(config, FolderUse::kNew);
  trainer.run({}, &run_folder, run_folder.begin(std::nullopt));
  run_folder.save_model(trainer.decoder(), trainer.data_record());
  EXPECT_EQ(train::list_checkpoints(fs::path(config.output_dir) / "checkpoints").size(), 1U);
  EXPECT_EQ(train::read_stored_model(config.output_dir).config.model.hidden_size, 32);
  Trainer again(config);
  again.restore(*run_folder.newest_checkpoint([](const std::string&) {}), "the checkpoint");
  EXPECT_EQ(again.step(), 2);
}

TEST(RunFolders, ReplaceTheirOwnFilesOnly) {
  StoppedRun run;
  const fs::path mine = run.checkpoints / "best.safetensors";
  std::ofstream(mine) << "mine";
  const fs::path note = run.checkpoints / "notes.abc123.tmp";
  std::ofstream(note) << "mine";
  const fs::path left = run.checkpoints / "step-00000018.safetensors.abc123.tmp";
  std::ofstream(left) << "half a checkpoint";
  std::ofstream(run.checkpoints / "step-00000001.safetensors.damaged") << "damaged";
  RunFolder(run.config, FolderUse::kOverwrite).begin(std::nullopt);
  EXPECT_TRUE(fs::exists(mine) && fs::exists(note));
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(train::list_checkpoints(run.checkpoints).empty() && train::list_damaged(run.checkpoints).empty());
}

/// Makes the first weight infinite after `from`, and puts it back after `to`: the steps between are skipped.
class Skipping {
 public:
  Skipping(Trainer& trainer, int64_t from, int64_t to)
      : weight_(trainer.decoder()->named_parameters()["model.norm.weight"].data()), from_(from), to_(to) {}
  void operator()(const train::StepRecord& record) {
    if (record.step == from_) {
      kept_ = weight_[0].item<float>();
      weight_[0] = INFINITY;
    }
    if (record.step == to_) weight_[0] = kept_;
  }

 private:
  torch::Tensor weight_;
  int64_t from_, to_;
  float kept_ = 0;
};

TEST(SkippedSteps, CountInTheScheduleAndNotInTheOptimiser) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  config.schedule.kind = train::ScheduleKind::kLinear;
  config.checkpoint.interval = 1;
  config.checkpoint.keep = 100;
  Trainer trainer(config);
  RunFolder run_folder(config, FolderUse::kNew);
  train::Observer observer;
  Skipping skipping(trainer, 4, 6);
  observer.on_step = [&](const train::StepRecord& record) { skipping(record); };
  const auto result = trainer.run(observer, &run_folder, run_folder.begin(std::nullopt));
  ASSERT_EQ(result.steps.size(), 18U);
  const auto recorded = train::read_metrics(folder.path() / "run" / "metrics.jsonl");
  for (const auto& step : recorded.steps) {
    EXPECT_EQ(step.skipped, step.step == 5 || step.step == 6) << step.step;
    EXPECT_NEAR(step.learning_rate, config.optimizer.learning_rate * static_cast<double>(19 - step.step) / 18, 1e-12);
    EXPECT_EQ(step.tokens, 128 * step.step);
    if (step.step == 5 || step.step == 6) continue;  // not kept once a step was taken again
    const auto checkpoint =
        train::read_checkpoint(train::checkpoint_path(folder.path() / "run" / "checkpoints", step.step));
    EXPECT_EQ(checkpoint.position.step, step.step);
    EXPECT_EQ(checkpoint.skipped_in_a_row, 0);
    const int64_t taken = step.step < 5 ? step.step : step.step - 2;
    for (const auto& [name, count] : checkpoint.optimizer_steps) EXPECT_EQ(count.item<int64_t>(), taken) << name;
  }
}

/// What made the steps not finite may be in the newest checkpoints; the older ones are the way back.
TEST(SkippedSteps, PushOutNoGoodCheckpoint) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  config.checkpoint.interval = 1;
  config.checkpoint.keep = 2;
  const auto steps_kept = [&] {
    std::vector<int64_t> steps;
    for (const auto& path : train::list_checkpoints(folder.path() / "run" / "checkpoints"))
      steps.push_back(*train::step_of_name(path.filename().string()));
    return steps;
  };
  {
    Trainer trainer(config);
    RunFolder run_folder(config, FolderUse::kNew);
    train::Observer observer;
    Skipping skipping(trainer, 4, 8);
    int64_t step = 0;
    observer.on_step = [&](const train::StepRecord& record) { skipping(record), step = record.step; };
    observer.should_stop = [&] { return step == 8; };
    trainer.run(observer, &run_folder, run_folder.begin(std::nullopt));
    EXPECT_EQ(steps_kept(), (std::vector<int64_t>{3, 4, 8})) << "of those that follow skipped steps, the newest";
  }
  Trainer trainer(config);
  RunFolder run_folder(config, FolderUse::kResume);
  const auto checkpoint = run_folder.newest_checkpoint([](const std::string&) {});
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->position.step, 8);
  EXPECT_EQ(checkpoint->skipped_in_a_row, 4);
}

}  // namespace
}  // namespace lighthouse::test
