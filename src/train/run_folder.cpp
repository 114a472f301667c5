#include "train/run_folder.h"

#include <stdexcept>

#include "io/atomic_file.h"
#include "io/checksum.h"
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

std::optional<Checkpoint> RunFolder::newest_checkpoint(const std::function<void(const std::string&)>& on_problem) {
  const auto paths = list_checkpoints(checkpoints_);
  std::string problems;
  for (auto path = paths.rbegin(); path != paths.rend(); ++path) {
    try {
      Checkpoint checkpoint = read_checkpoint(*path);
      if (!problems.empty()) on_problem(problems + "going on from the one before, " + path->string());
      return checkpoint;
    } catch (const std::runtime_error& error) {
      problems += std::string(error.what()) + "; ";
      if (path + 1 == paths.rend()) break;  // the last one stays where it is, for the user to see
      std::error_code ignored;
      fs::rename(*path, path->string() + ".damaged", ignored);
    }
  }
  if (!paths.empty()) throw std::runtime_error(problems + "no checkpoint is left to go on from");
  if (has_model()) {
    throw std::runtime_error(folder_.string() + " holds " + kModelName + " but no checkpoint to go on from");
  }
  return std::nullopt;
}

Metrics RunFolder::begin(const std::optional<Checkpoint>& checkpoint) {
  remove_leftovers();
  std::error_code ignored;
  if (use_ == FolderUse::kOverwrite) {
    fs::remove_all(checkpoints_, ignored);
    fs::remove(folder_ / kModelName, ignored);
  }
  // While a run goes on, its newest checkpoint is what it has come to; its old result would hide that.
  if (checkpoint && checkpoint->position.step < config_.total_steps()) fs::remove(folder_ / kModelName, ignored);
  make_folder(checkpoints_);
  if (!checkpoint) carry_files();
  const uint64_t keep = checkpoint ? checkpoint->metrics_bytes : 0;
  Metrics records = keep > 0 ? read_metrics(folder_ / kMetricsName, keep) : Metrics{};
  io::write_file(folder_ / kConfigName, to_toml(config_));
  metrics_ = std::make_unique<MetricsFile>(folder_ / kMetricsName, keep);
  tensorboard_ = std::make_unique<TensorBoardFile>(folder_ / kTensorBoardName, records);
  return records;
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
  std::error_code error;
  for (const char* name : {kConfigName, kMetricsName, kModelName, kTensorBoardName}) {
    fs::remove((folder_ / name).concat(io::kTemporarySuffix), error);
  }
  std::vector<fs::path> unfinished;
  for (fs::directory_iterator walk(checkpoints_, error), end; !error && walk != end; walk.increment(error)) {
    if (walk->path().extension() == io::kTemporarySuffix) unfinished.push_back(walk->path());
  }
  for (const auto& path : unfinished) fs::remove(path, error);
}

void RunFolder::record(const StepRecord& record) {
  metrics_->write(record);
  tensorboard_->write(record);
}

void RunFolder::record(const ValidationRecord& record) {
  metrics_->write(record);
  tensorboard_->write(record);
}

void RunFolder::save(Checkpoint checkpoint) {
  const fs::path path = checkpoint_path(checkpoints_, checkpoint.position.step);
  try {
    checkpoint.metrics_bytes = metrics_->sync();
    write_checkpoint(path, checkpoint);
  } catch (const std::runtime_error& error) {
    const auto before = list_checkpoints(checkpoints_);
    throw std::runtime_error(std::string("the checkpoint of step ") + std::to_string(checkpoint.position.step) +
                             " was not written: " + error.what() +
                             (before.empty() ? ". There is none before it; --resume starts from the beginning"
                                             : ". The last one, " + before.back().string() +
                                                   ", is whole: when there is room again, go on "
                                                   "from it with --resume"));
  }
  prune();
}

void RunFolder::prune() const {
  const auto paths = list_checkpoints(checkpoints_);
  const auto keep = static_cast<size_t>(config_.checkpoint.keep);
  std::error_code ignored;  // one too many does no harm
  for (size_t i = 0; i + keep < paths.size(); ++i) fs::remove(paths[i], ignored);
}

void RunFolder::save_model(const model::Decoder& decoder, uint64_t data_fingerprint) {
  model::write_safetensors(folder_ / kModelName, model::named_parameters(*decoder),
                           {{kFingerprintKey, io::to_hex(data_fingerprint)}});
}

bool RunFolder::has_model() const { return fs::exists(folder_ / kModelName); }

}  // namespace lighthouse::train
