#include "train/trainer.h"

#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>

#include "train/schedule.h"

namespace lighthouse::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Batch {
  torch::Tensor tokens;   // int64 [B, N]
  torch::Tensor targets;  // int64 [B, N]: the tokens one further on
};

template <typename SequenceAt>
Batch make_batch(int64_t batch_size, int64_t context_length, const SequenceAt& sequence_at) {
  torch::Tensor bytes = torch::empty({batch_size, context_length + 1}, torch::kUInt8);
  for (int64_t row = 0; row < batch_size; ++row) {
    const uint8_t* sequence = sequence_at(row);
    std::copy(sequence, sequence + context_length + 1, bytes.data_ptr<uint8_t>() + row * (context_length + 1));
  }
  const torch::Tensor wide = bytes.to(torch::kInt64);
  return {wide.slice(1, 0, context_length).contiguous(), wide.slice(1, 1).contiguous()};
}

std::unique_ptr<torch::optim::AdamW> make_optimizer(model::Decoder& decoder, const OptimizerConfig& config) {
  // Weight decay pulls matrices towards zero; a norm's gain has no reason to go there.
  std::vector<torch::Tensor> matrices;
  std::vector<torch::Tensor> gains;
  for (auto& parameter : decoder->parameters()) (parameter.dim() > 1 ? matrices : gains).push_back(parameter);
  const auto options = [&](double weight_decay) {
    return std::make_unique<torch::optim::AdamWOptions>(torch::optim::AdamWOptions(config.learning_rate)
                                                            .betas({config.beta1, config.beta2})
                                                            .eps(config.epsilon)
                                                            .weight_decay(weight_decay));
  };
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(matrices, options(config.weight_decay));
  groups.emplace_back(gains, options(0.0));
  return std::make_unique<torch::optim::AdamW>(groups, torch::optim::AdamWOptions(config.learning_rate));
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

const char* kind_name(const StageConfig& stage) { return stage.lighthouse ? "lighthouse" : "dense"; }

}  // namespace

/// Where a run stands, and what it has recorded.
struct Trainer::Progress {
  const Observer& observer;
  MetricsFile* metrics;
  RunResult result;
  int64_t step = 0;
  double seconds = 0;
};

Trainer::Trainer(const RunConfig& config) : config_(config), corpus_(config.data, static_cast<uint64_t>(config.seed)) {
  if (config.training.num_threads > 0) at::set_num_threads(static_cast<int>(config.training.num_threads));
  torch::manual_seed(static_cast<uint64_t>(config.seed));
  decoder_ = model::Decoder(config.model);
  optimizer_ = make_optimizer(decoder_, config.optimizer);
}

void Trainer::apply_attention(const StageConfig& stage) {
  decoder_->set_attention(stage.lighthouse ? model::AttentionKind::kLighthouse : model::AttentionKind::kDense,
                          config_.attention_of(stage));
}

Trainer::StepOutcome Trainer::train_step(int64_t step) {
  const TrainingConfig& training = config_.training;
  const double rate = learning_rate(config_.schedule, config_.optimizer.learning_rate, step, config_.total_steps());
  for (auto& group : optimizer_->param_groups()) {
    static_cast<torch::optim::AdamWOptions&>(group.options()).lr(rate);
  }
  optimizer_->zero_grad();
  StepOutcome outcome;
  for (int64_t micro = 0; micro < training.accumulation_steps; ++micro) {
    const int64_t first = (step * training.accumulation_steps + micro) * training.batch_size;
    const Batch batch = make_batch(training.batch_size, config_.data.context_length,
                                   [&](int64_t row) { return corpus_.training_sequence(first + row); });
    const torch::Tensor loss = decoder_->loss(batch.tokens, batch.targets) / training.accumulation_steps;
    loss.backward();
    outcome.loss += loss.item<double>();
  }
  const double limit = config_.optimizer.clip_norm > 0 ? config_.optimizer.clip_norm : INFINITY;
  outcome.gradient_norm = torch::nn::utils::clip_grad_norm_(decoder_->parameters(), limit);
  optimizer_->step();
  return outcome;
}

double Trainer::validation_loss() {
  const torch::NoGradGuard no_grad;
  const int64_t count = std::min(config_.training.validation_sequences, corpus_.validation_sequences());
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const Batch batch =
        make_batch(1, config_.data.context_length, [&](int64_t) { return corpus_.validation_sequence(i, count); });
    sum += decoder_->loss(batch.tokens, batch.targets).item<double>();
  }
  return count > 0 ? sum / static_cast<double>(count) : NAN;
}

void Trainer::validate(const StageConfig& stage, bool stage_end, Progress& progress) {
  if (config_.training.validation_sequences == 0 || corpus_.validation_sequences() == 0) return;
  ValidationRecord record;
  record.step = progress.step;
  record.tokens = progress.step * config_.tokens_per_step();
  record.seconds = progress.seconds;
  record.stage = stage.name;
  record.stage_end = stage_end;
  if (stage.lighthouse) record.lighthouse_loss = validation_loss();
  decoder_->set_attention(model::AttentionKind::kDense);
  record.dense_loss = validation_loss();
  apply_attention(stage);
  progress.result.validations.push_back(record);
  if (progress.metrics != nullptr) progress.metrics->write(record);
  if (progress.observer.on_validation) progress.observer.on_validation(record);
}

void Trainer::run_stage(const StageConfig& stage, Progress& progress) {
  apply_attention(stage);
  const int64_t context = config_.data.context_length;
  const int64_t retained = stage.lighthouse ? retained_length(context, config_.attention_of(stage)) : context;
  const double fraction = std::min(1.0, static_cast<double>(retained) / static_cast<double>(context));
  const double started = progress.seconds;
  std::vector<double> speeds;
  for (int64_t i = 0; i < stage.steps; ++i) {
    const auto start = Clock::now();
    const StepOutcome outcome = train_step(progress.step);
    const double seconds = seconds_since(start);
    if (!std::isfinite(outcome.loss)) {
      throw std::runtime_error("the loss of step " + std::to_string(progress.step + 1) +
                               " is not finite; lower optimizer.learning_rate or lengthen schedule.warmup_steps");
    }
    progress.seconds += seconds;
    speeds.push_back(static_cast<double>(config_.tokens_per_step()) / seconds);
    const StepRecord record{.step = progress.step + 1,
                            .tokens = (progress.step + 1) * config_.tokens_per_step(),
                            .seconds = progress.seconds,
                            .stage = stage.name,
                            .attention = kind_name(stage),
                            .loss = outcome.loss,
                            .learning_rate = learning_rate(config_.schedule, config_.optimizer.learning_rate,
                                                           progress.step, config_.total_steps()),
                            .gradient_norm = outcome.gradient_norm,
                            .tokens_per_second = speeds.back(),
                            .retained_fraction = fraction};
    ++progress.step;
    progress.result.steps.push_back(record);
    if (progress.metrics != nullptr && progress.step % config_.training.log_interval == 0)
      progress.metrics->write(record);
    if (progress.observer.on_step) progress.observer.on_step(record);
    const int64_t interval = config_.training.validation_interval;
    if (interval > 0 && progress.step % interval == 0 && i + 1 < stage.steps) validate(stage, false, progress);
  }
  validate(stage, true, progress);
  progress.result.stages.push_back({stage.name, kind_name(stage), stage.steps, stage.steps * config_.tokens_per_step(),
                                    progress.seconds - started, median(speeds), fraction});
}

RunResult Trainer::run(const Observer& observer, MetricsFile* metrics) {
  Progress progress{observer, metrics, {}};
  for (size_t i = 0; i < config_.stages.size(); ++i) {
    if (observer.on_stage) observer.on_stage(config_.stages[i], static_cast<int64_t>(i));
    run_stage(config_.stages[i], progress);
  }
  progress.result.seconds = progress.seconds;
  return std::move(progress.result);
}

}  // namespace lighthouse::train
