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

  /// With kResume: the newest checkpoint that is whole. Each that is not is put aside under a name that ends in
  /// .damaged, and `on_problem` is told. Throws if there are checkpoints and none is whole.
  std::optional<Checkpoint> newest_checkpoint(const std::function<void(const std::string&)>& on_problem);

  /// Writes config.toml and opens the record: what follows `checkpoint` in it is cut off, to be recorded again; without
  /// one it starts anew, and what came with the model that the run starts from (config.init) is copied. Returns the
  /// records so far.
  Metrics begin(const std::optional<Checkpoint>& checkpoint);

  void record(const StepRecord& record);
  void record(const ValidationRecord& record);

  /// Syncs the record, writes the checkpoint, then removes the oldest beyond config.checkpoint.keep. Where it fails the
  /// checkpoints before it are as they were, and the error says which is the last.
  void save(Checkpoint checkpoint);

  /// Writes model.safetensors, the run's result.
  /// The fingerprint is that of the data it was trained on (Corpus).
  void save_model(const model::Decoder& decoder, uint64_t data_fingerprint);
  bool has_model() const;

 private:
  void remove_leftovers() const;
  void carry_files() const;
  void prune() const;

  RunConfig config_;
  FolderUse use_;
  std::filesystem::path folder_;
  std::filesystem::path checkpoints_;
  std::unique_ptr<io::FileLock> lock_;
  std::unique_ptr<MetricsFile> metrics_;
  std::unique_ptr<TensorBoardFile> tensorboard_;
};

}  // namespace lighthouse::train
