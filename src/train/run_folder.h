// A run's folder: config.toml, metrics.jsonl, TensorBoard's file, checkpoints/, model.safetensors.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/file_lock.h"
#include "model/decoder.h"
#include "train/checkpoint.h"
#include "train/config.h"
#include "train/metrics.h"
#include "train/tensorboard.h"

namespace lighthouse::train {

/// Names in the folder.
inline constexpr const char* kConfigName = "config.toml";
inline constexpr const char* kMetricsName = "metrics.jsonl";
inline constexpr const char* kModelName = "model.safetensors";
inline constexpr const char* kCheckpointsName = "checkpoints";

enum class FolderUse {
  kNew,        ///< Refuse a folder that holds a run or a model.
  kOverwrite,  ///< Replace what is there.
  kResume,     ///< Go on from the newest checkpoint; from the start where there is none yet.
};

/// Held by the one process that trains in the folder. Calls throw std::runtime_error with the path and reason.
class RunFolder {
 public:
  /// Makes the folder and locks it; writes nothing else yet, so that a run that is refused leaves all as it was.
  RunFolder(const RunConfig& config, FolderUse use);

  /// Told of what goes wrong without ending the run; at most once of each.
  using OnProblem = std::function<void(const std::string&)>;
  void tell_problems(OnProblem on_problem) { on_problem_ = std::move(on_problem); }

  /// With kResume: the newest checkpoint that is whole. Each that is not is put aside under a name that ends in
  /// .damaged, and `on_problem` is told. Throws where there are checkpoints and none is whole, where one cannot be read
  /// at all (then nothing is put aside), and where the record goes on beyond a step whose checkpoint is not there:
  /// something moved or hides them, and going on would cut the record. `allow_lost` goes on from an older one then.
  std::optional<Checkpoint> newest_checkpoint(const OnProblem& on_problem, bool allow_lost = false);

  /// Writes config.toml and opens the record: what follows `checkpoint` in it is cut off, to be recorded again; without
  /// one it starts anew, and what came with the model that the run starts from (config.init) is copied. Returns the
  /// records so far. Where the record is not the one that the checkpoint follows, nothing is changed. A TensorBoard
  /// file that cannot be written is a problem that is told, no error.
  Metrics begin(const std::optional<Checkpoint>& checkpoint);

  void record(const StepRecord& record);
  void record(const ValidationRecord& record);

  /// Syncs the record, writes the checkpoint, then removes the oldest beyond config.checkpoint.keep. One that follows
  /// skipped steps takes no place of those: of such, the newest is kept beside them, since what made the steps not
  /// finite may be in it already. Where writing fails the checkpoints before it are as they were, and the error says
  /// which is the last.
  void save(Checkpoint checkpoint);

  /// Writes model.safetensors, the run's result.
  /// The record is that of the data it was trained on (Corpus).
  void save_model(const model::Decoder& decoder, const DataRecord& data);
  bool has_model() const;

 private:
  std::optional<Checkpoint> newest_whole(const OnProblem& on_problem) const;
  void expect_no_checkpoint_lost(const std::optional<Checkpoint>& newest) const;
  void remove_run() const;
  void remove_leftovers() const;
  void carry_files() const;
  template <typename Record>
  void copy_to_tensorboard(const Record& record);
  void give_up_tensorboard(const std::string& why);
  void prune() const;

  RunConfig config_;
  FolderUse use_;
  std::filesystem::path folder_;
  std::filesystem::path checkpoints_;
  std::unique_ptr<io::FileLock> lock_;
  std::unique_ptr<MetricsFile> metrics_;
  std::unique_ptr<TensorBoardFile> tensorboard_;  // none where it cannot be written
  OnProblem on_problem_;
};

}  // namespace lighthouse::train
