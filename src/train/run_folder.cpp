#include "train/run_folder.h"

#include <stdio.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

#include "io/atomic_file.h"
#include "io/checksum.h"
#include "io/system_error.h"
#include "model/safetensors.h"
#include "train/stored_model.h"

namespace lighthouse::train {

namespace fs = std::filesystem;

namespace {

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw std::runtime_error("cannot create the folder " + folder.string() + ": " + error.message());
}

/// Whether the weights are those that kOverwrite removes from the folder: its model, or one of its checkpoints.
bool is_of_run(const fs::path& weights, const fs::path& folder) {
  std::error_code error;
  const fs::path file = fs::canonical(weights, error);
  if (error) return false;
  const fs::path run = fs::weakly_canonical(folder);
  return file == run || file.parent_path() == run / kCheckpointsName;
}

/// The first step after `step` at which a run writes a checkpoint.
int64_t next_checkpoint(const RunConfig& config, int64_t step) {
  const int64_t interval = config.checkpoint.interval;
  int64_t next = std::numeric_limits<int64_t>::max();
  if (interval > 0 && step / interval < next / interval) next = (step / interval + 1) * interval;
  int64_t end = 0;
  for (const auto& stage : config.stages) {
    end += stage.steps;
    if (end > step) return std::min(next, end);
  }
  return next;
}

/// Whether the step of a checkpoint was taken; none where its header is damaged, which is for a resume to find.
std::optional<bool> follows_a_taken_step(const fs::path& checkpoint) {
  try {
    return read_skipped_in_a_row(checkpoint) == 0;
  } catch (const io::DamagedFile&) {
    return std::nullopt;
  }
}

/// Under their own names damaged checkpoints would count among the newest, and push out those that are whole.
void put_aside(const std::vector<fs::path>& damaged) {
  for (const auto& path : damaged) {
    const fs::path aside = fs::path(path).concat(kDamagedSuffix);
    if (::rename(path.c_str(), aside.c_str()) != 0) io::fail_system("cannot put " + path.string() + " aside as", aside);
  }
}

/// What is left to a run that could not write a checkpoint.
std::string way_on(const fs::path& checkpoints) {
  try {
    const auto before = list_checkpoints(checkpoints);
    if (before.empty()) return "There is none before it; --resume starts from the beginning";
    return "The last one, " + before.back().string() +
           ", is whole: when there is room again, go on from it with --resume";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

}  // namespace

RunFolder::RunFolder(const RunConfig& config, FolderUse use)
    : config_(config), use_(use), folder_(config.output_dir), checkpoints_(folder_ / kCheckpointsName) {
  for (const char* name : {kConfigName, kMetricsName, kModelName, kCheckpointsName, kCarriedFolder}) {
    if (use != FolderUse::kNew || !fs::exists(folder_ / name)) continue;
    throw std::runtime_error(folder_.string() + " holds " + name +
                             " already; choose another output_dir, pass --resume to go on with the run that is there, "
                             "or --overwrite to replace it");
  }
  if (use == FolderUse::kOverwrite && !config.init.empty() && is_of_run(config.init, folder_)) {
    throw std::runtime_error("init must name another folder than output_dir, whose run --overwrite removes; got " +
                             config.init + " of the run in " + folder_.string());
  }
  make_folder(folder_);
  lock_ = std::make_unique<io::FileLock>(folder_ / ".lock");
}

std::optional<Checkpoint> RunFolder::newest_checkpoint(const OnProblem& on_problem, bool allow_lost) {
  auto newest = newest_whole(on_problem);
  if (!newest && has_model()) {
    throw std::runtime_error(folder_.string() + " holds " + kModelName + " but no checkpoint to go on from");
  }
  if (!newest || !allow_lost) expect_no_checkpoint_lost(newest);
  return newest;
}

std::optional<Checkpoint> RunFolder::newest_whole(const OnProblem& on_problem) const {
  std::vector<fs::path> damaged;
  std::string problems;
  try {
    const auto paths = list_checkpoints(checkpoints_);
    for (auto path = paths.rbegin(); path != paths.rend(); ++path) {
      try {
        Checkpoint checkpoint = read_checkpoint(*path);
        put_aside(damaged);
        if (!problems.empty()) on_problem(problems + "going on from the one before, " + path->string());
        if (checkpoint.rewritten) on_problem(path->string() + " was written again by another program since the run");
        return checkpoint;
      } catch (const io::DamagedFile& error) {
        problems += std::string(error.what()) + "; ";
        damaged.push_back(*path);
      }
    }
  } catch (const io::SystemError& error) {
    throw io::SystemError(
        std::string(error.what()) +
        ". That says nothing about the checkpoints, which stay as they are: resume when they can be "
        "read, or move away the one that cannot and pass --allow-changes to go on from the one before");
  }
  if (!damaged.empty()) throw std::runtime_error(problems + "no checkpoint is left to go on from");
  return std::nullopt;
}

/// A run writes a checkpoint before it goes on, so that its record never gets beyond where the next one is due.
void RunFolder::expect_no_checkpoint_lost(const std::optional<Checkpoint>& newest) const {
  const fs::path record = folder_ / kMetricsName;
  const int64_t step = newest ? newest->position.step : 0;
  const auto damaged = list_damaged(checkpoints_);
  const bool newer_damaged = !damaged.empty() && step_of_name(damaged.back().stem().string()).value_or(0) > step;
  if ((newest && newer_damaged) || !fs::exists(record)) return;
  const int64_t recorded = last_recorded_step(record);
  const fs::path begun = folder_ / kConfigName;
  const RunConfig config =
      fs::exists(begun) ? load_config(begun, {}, {.trains = false, .model_of_init = nullptr}) : config_;
  // Its interval may have been edited since, or changed on a command line between the two.
  const int64_t due = std::max(next_checkpoint(config, step), newest ? next_checkpoint(newest->config, step) : 0);
  const bool folder_gone = recorded > 0 && !fs::is_directory(checkpoints_);
  if (recorded <= due && !folder_gone && !newer_damaged) return;
  const std::string what = record.string() + " goes to step " + std::to_string(recorded) + ", and " +
                           (newest ? "the newest checkpoint in " + checkpoints_.string() + " is of step " +
                                         std::to_string(step) + ": one of a later step is missing"
                            : newer_damaged ? checkpoints_.string() + " holds damaged checkpoints only"
                            : folder_gone   ? "there is no folder " + checkpoints_.string()
                                            : checkpoints_.string() + " holds no checkpoint");
  throw std::runtime_error(
      what + ". Nothing was changed. Put the checkpoints back (were they moved, is a disk not mounted?); " +
      (newest ? "or pass --allow-changes to go on from step " + std::to_string(step) + " and record what follows anew"
              : "or move " + std::string(kMetricsName) + " away to start from the beginning"));
}

Metrics RunFolder::begin(const std::optional<Checkpoint>& checkpoint) {
  const fs::path record = folder_ / kMetricsName;
  const uint64_t keep = checkpoint ? checkpoint->metrics_bytes : 0;
  KeptRecord kept;
  if (keep > 0 || (use_ == FolderUse::kResume && fs::exists(record))) {
    kept = read_kept_record(record, checkpoint ? checkpoint->position.step : 0, keep);
  }
  remove_leftovers();
  if (use_ == FolderUse::kOverwrite) remove_run();
  // While a run goes on, its newest checkpoint is what it has come to; its old result would hide that.
  if (checkpoint && checkpoint->position.step < config_.total_steps()) fs::remove(folder_ / kModelName);
  make_folder(checkpoints_);
  if (!checkpoint) carry_files();
  io::write_file(folder_ / kConfigName, to_toml(config_));
  if (kept.restored) io::write_file(record, *kept.restored);
  metrics_ = std::make_unique<MetricsFile>(record, keep);
  try {
    tensorboard_ = std::make_unique<TensorBoardFile>(folder_ / kTensorBoardName, kept.records);
  } catch (const std::runtime_error& error) {
    give_up_tensorboard(error.what());
  }
  return std::move(kept.records);
}

/// What --overwrite replaces. Files of the user's among the checkpoints stay.
void RunFolder::remove_run() const {
  for (const auto& path : list_checkpoints(checkpoints_)) fs::remove(path);
  for (const auto& path : list_damaged(checkpoints_)) fs::remove(path);
  fs::remove(folder_ / kModelName);
}

void RunFolder::carry_files() const {
  const fs::path to = folder_ / kCarriedFolder;
  std::error_code ignored;
  fs::remove_all(to, ignored);
  const fs::path from = config_.init.empty() ? fs::path() : carried_files(config_.init);
  if (from.empty()) return;
  make_folder(to);
  for (const auto& file : fs::directory_iterator(from)) io::copy_file(file.path(), to / file.path().filename());
}

/// What a killed process had not finished, and nobody else's files.
void RunFolder::remove_leftovers() const {
  const auto is_own = [](const std::string& name) {
    return name == kConfigName || name == kMetricsName || name == kModelName || step_of_name(name).has_value();
  };
  std::vector<fs::path> unfinished;
  for (const fs::path& folder : {folder_, checkpoints_}) {
    std::error_code ignored;  // what cannot be removed does no harm
    for (fs::directory_iterator walk(folder, ignored), end; !ignored && walk != end; walk.increment(ignored)) {
      const auto name = io::temporary_of(walk->path().filename().string());
      if (name && is_own(*name)) unfinished.push_back(walk->path());
    }
  }
  std::error_code ignored;
  for (const auto& path : unfinished) fs::remove(path, ignored);
}

void RunFolder::record(const StepRecord& record) {
  metrics_->write(record);
  copy_to_tensorboard(record);
}

void RunFolder::record(const ValidationRecord& record) {
  metrics_->write(record);
  copy_to_tensorboard(record);
}

template <typename Record>
void RunFolder::copy_to_tensorboard(const Record& record) {
  if (!tensorboard_) return;
  try {
    tensorboard_->write(record);
  } catch (const std::runtime_error& error) {
    give_up_tensorboard(error.what());
  }
}

/// The file is a copy of the record: a run goes on without it.
void RunFolder::give_up_tensorboard(const std::string& why) {
  tensorboard_.reset();
  if (!on_problem_) return;
  on_problem_(why + ". The run goes on without its file for TensorBoard; " + kMetricsName +
              " has every record, and --resume writes the file anew from it");
}

void RunFolder::save(Checkpoint checkpoint) {
  const fs::path path = checkpoint_path(checkpoints_, checkpoint.position.step);
  try {
    checkpoint.metrics_bytes = metrics_->sync();
    write_checkpoint(path, checkpoint);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(std::string("the checkpoint of step ") + std::to_string(checkpoint.position.step) +
                             " was not written: " + error.what() + ". " + way_on(checkpoints_));
  }
  prune();
}

void RunFolder::prune() const {
  try {
    const auto paths = list_checkpoints(checkpoints_);
    int64_t kept = 0;  // of those that follow a step that was taken
    for (auto path = paths.rbegin(); path != paths.rend(); ++path) {
      const auto taken = follows_a_taken_step(*path);
      if (!taken) continue;
      if (path == paths.rbegin() || (*taken && kept < config_.checkpoint.keep)) {
        kept += *taken ? 1 : 0;
      } else {
        fs::remove(*path);
      }
    }
  } catch (const std::runtime_error&) {
    // One too many does no harm, and one that cannot be read is not to be removed.
  }
}

void RunFolder::save_model(const model::Decoder& decoder, const DataRecord& data) {
  model::write_safetensors(folder_ / kModelName, model::named_parameters(*decoder), to_metadata(data));
}

bool RunFolder::has_model() const { return fs::exists(folder_ / kModelName); }

}  // namespace lighthouse::train
