// The training loop: stages of dense and Lighthouse attention over one optimiser state and one continuing data stream.
#pragma once

#include <torch/optim/adamw.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/decoder.h"
#include "train/config.h"
#include "train/corpus.h"
#include "train/metrics.h"

namespace lighthouse::train {

/// What a caller may watch a run by; any may be empty.
struct Observer {
  std::function<void(const StepRecord&)> on_step;
  std::function<void(const ValidationRecord&)> on_validation;
  /// Before the first step of a stage.
  std::function<void(const StageConfig&, int64_t stage_index)> on_stage;
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
  std::vector<StageResult> stages;
  std::vector<StepRecord> steps;
  std::vector<ValidationRecord> validations;
  double seconds = 0;  ///< Training only.
};

/// Runs a configuration from fresh weights. The same configuration with the same number of threads gives the same
/// losses, bit for bit.
class Trainer {
 public:
  /// Sets torch's seed and threads, reads the data, makes the model. Throws std::invalid_argument or
  /// std::runtime_error.
  explicit Trainer(const RunConfig& config);

  /// Trains all stages. With `metrics`, records go there as they come.
  RunResult run(const Observer& observer = {}, MetricsFile* metrics = nullptr);

  model::Decoder& decoder() { return decoder_; }
  const Corpus& corpus() const { return corpus_; }

  /// Mean held-out loss in nats under the decoder's present attention.
  double validation_loss();

 private:
  struct StepOutcome {
    double loss = 0;
    double gradient_norm = 0;
  };
  struct Progress;
  StepOutcome train_step(int64_t step);
  void run_stage(const StageConfig& stage, Progress& progress);
  void validate(const StageConfig& stage, bool stage_end, Progress& progress);
  void apply_attention(const StageConfig& stage);

  RunConfig config_;
  Corpus corpus_;
  model::Decoder decoder_{nullptr};
  std::unique_ptr<torch::optim::AdamW> optimizer_;
};

}  // namespace lighthouse::train
