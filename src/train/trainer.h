// The training loop: stages of dense and Lighthouse attention over one optimiser state and one continuing data stream.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/decoder.h"
#include "train/checkpoint.h"
#include "train/config.h"
#include "train/corpus.h"
#include "train/device.h"
#include "train/metrics.h"
#include "train/optimizer.h"
#include "train/run_folder.h"

namespace lighthouse::train {

/// What a caller may watch a run by; any may be empty.
struct Observer {
  std::function<void(const StepRecord&)> on_step;
  std::function<void(const ValidationRecord&)> on_validation;
  /// Before the first step of a stage, or the first one after a resume.
  std::function<void(const StageConfig&, int64_t stage_index)> on_stage;
  /// Asked after every step: true ends the run there, with a checkpoint.
  std::function<bool()> should_stop;
  /// Asked after every step but a stage's last: true leaves the run as it is, for run() to be called again.
  std::function<bool()> should_pause;
};

struct StageResult {
  std::string name;
  std::string attention;
  int64_t steps = 0;
  int64_t tokens = 0;
  double seconds = 0;
  double tokens_per_second = 0;  ///< Median over the stage's steps.
  double retained_fraction = 1;
};

struct RunResult {
  std::vector<StageResult> stages;  ///< Those that have steps.
  std::vector<StepRecord> steps;
  std::vector<ValidationRecord> validations;
  double seconds = 0;  ///< Training only.
  bool paused = false;
  bool stopped = false;  ///< Before its end, because the observer said so.
};

/// Stages of a run by its records.
std::vector<StageResult> summarize_stages(const std::vector<StepRecord>& steps);

/// A model with fresh weights, drawn by the configuration's seed, on the plan's device.
model::Decoder make_decoder(const RunConfig& config, const ComputePlan& plan);

/// Runs a configuration, from fresh weights or from a checkpoint. The same configuration with the same number of
/// threads gives the same losses, bit for bit, however often the run is interrupted; on a GPU in deterministic mode.
///
/// On a GPU the host runs a step ahead of the device: nothing in a step waits, and a step's record comes while the next
/// one runs.
class Trainer {
 public:
  /// Sets torch's seed and threads, reads the data, makes the model. Throws std::invalid_argument or
  /// std::runtime_error.
  explicit Trainer(const RunConfig& config);

  /// Goes on from a checkpoint instead of fresh weights. Throws std::runtime_error where it is of another model, of
  /// other data, or of a configuration that differs in what a run computes; `allow_changes` lets the last pass.
  void restore(const Checkpoint& checkpoint, const std::string& source, bool allow_changes = false);

  /// Trains what is left of the stages, from the start, the checkpoint or the pause. With a folder, records and
  /// checkpoints go there as they come; `so_far` are the records of the steps before.
  RunResult run(const Observer& observer = {}, RunFolder* folder = nullptr, Metrics so_far = {});

  /// With data.format resolved where the data is text and the vocabulary alone would not say so.
  const RunConfig& config() const { return config_; }
  model::Decoder& decoder() { return decoder_; }
  const Corpus& corpus() const { return corpus_; }
  Corpus& corpus() { return corpus_; }
  uint64_t data_fingerprint() { return corpus_.fingerprint(); }
  DataRecord data_record() { return corpus_.record(); }
  /// Steps done.
  int64_t step() const { return position_.step; }
  const ComputePlan& plan() const { return plan_; }

  /// Mean held-out loss in nats under the decoder's present attention.
  double validation_loss();

 private:
  struct Progress;
  /// A step that the device may still be at.
  struct PendingStep;
  PendingStep start_step(const StageConfig& stage);
  void finish_step(Progress& progress);
  void finish_all(Progress& progress);
  torch::Tensor to_device(const torch::Tensor& tokens) const;
  void run_stage(const StageConfig& stage, int64_t stage_begin, Progress& progress);
  void run_stage_or_save(const StageConfig& stage, int64_t stage_begin, Progress& progress);
  void validate(const StageConfig& stage, bool stage_end, Progress& progress);
  void save(Progress& progress);
  void apply_attention(const StageConfig& stage);

  RunConfig config_;
  ComputePlan plan_;
  Corpus corpus_;
  model::Decoder decoder_{nullptr};
  std::unique_ptr<AdamW> optimizer_;
  Position position_;
};

}  // namespace lighthouse::train
