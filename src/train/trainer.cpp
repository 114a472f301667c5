#include "train/trainer.h"

#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>

#include "train/config_difference.h"
#include "train/memory_estimate.h"
#include "train/schedule.h"

namespace lighthouse::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double time_of_day() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

struct Batch {
  torch::Tensor tokens;   // int64 [B, N]
  torch::Tensor targets;  // int64 [B, N]: the tokens one further on
};

/// `read` writes the context_length + 1 tokens of a row.
template <typename Read>
Batch make_batch(int64_t batch_size, int64_t context_length, const Read& read) {
  const torch::Tensor rows = torch::empty({batch_size, context_length + 1}, torch::kInt64);
  for (int64_t row = 0; row < batch_size; ++row) read(row, rows.data_ptr<int64_t>() + row * (context_length + 1));
  return {rows.slice(1, 0, context_length).contiguous(), rows.slice(1, 1).contiguous()};
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

/// Who watches a run, and what it has recorded.
struct Trainer::Progress {
  const Observer& observer;
  RunFolder* folder;
  RunResult result;
};

Trainer::Trainer(const RunConfig& config)
    : config_((model::check(config.model), expect_fits_memory(config), config)),
      corpus_(config.data, static_cast<uint64_t>(config.seed), config.model.vocab_size) {
  if (config.training.num_threads > 0) at::set_num_threads(static_cast<int>(config.training.num_threads));
  torch::manual_seed(static_cast<uint64_t>(config.seed));
  decoder_ = model::Decoder(config.model);
  optimizer_ = make_optimizer(decoder_, config.optimizer);
}

void Trainer::restore(const Checkpoint& checkpoint, const std::string& source, bool allow_changes) {
  std::vector<ConfigDifference> of_model;
  std::vector<ConfigDifference> of_run;
  for (const auto& difference : config_differences(checkpoint.config, config_)) {
    if (difference.is_of_model()) of_model.push_back(difference);
    if (!difference.is_of_model() && !difference.is_harmless()) of_run.push_back(difference);
  }
  if (!of_model.empty()) throw std::runtime_error(source + " is of another model:" + to_text(of_model));
  if (!of_run.empty() && !allow_changes) {
    throw std::runtime_error(source + " was made under another configuration:" + to_text(of_run) +
                             "\nGo back to it, or pass --allow-changes to go on under the new one");
  }
  if (checkpoint.data_fingerprint != corpus_.fingerprint()) {
    throw std::runtime_error("the data changed since " + source +
                             " was written: other files, another order of them, or other bytes. Expected the data that "
                             "the run began with");
  }
  const Position& position = checkpoint.position;
  if (position.step < 0 || position.step > config_.total_steps()) {
    throw std::runtime_error(source + " is at step " + std::to_string(position.step) + "; the configuration has " +
                             std::to_string(config_.total_steps()));
  }
  restore_checkpoint(checkpoint, decoder_, *optimizer_, source);
  position_ = position;
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
    const Batch batch = make_batch(training.batch_size, config_.data.context_length, [&](int64_t row, int64_t* out) {
      corpus_.read_training_sequence(first + row, out);
    });
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
    const Batch batch = make_batch(1, config_.data.context_length,
                                   [&](int64_t, int64_t* out) { corpus_.read_validation_sequence(i, count, out); });
    sum += decoder_->loss(batch.tokens, batch.targets).item<double>();
  }
  return count > 0 ? sum / static_cast<double>(count) : NAN;
}

void Trainer::validate(const StageConfig& stage, bool stage_end, Progress& progress) {
  if (config_.training.validation_sequences == 0 || corpus_.validation_sequences() == 0) return;
  ValidationRecord record;
  record.step = position_.step;
  record.tokens = position_.step * config_.tokens_per_step();
  record.seconds = position_.seconds;
  record.stage = stage.name;
  record.stage_end = stage_end;
  if (stage.lighthouse) record.lighthouse_loss = validation_loss();
  decoder_->set_attention(model::AttentionKind::kDense);
  record.dense_loss = validation_loss();
  apply_attention(stage);
  record.time = time_of_day();
  progress.result.validations.push_back(record);
  if (progress.folder != nullptr) progress.folder->record(record);
  if (progress.observer.on_validation) progress.observer.on_validation(record);
}

void Trainer::save(Progress& progress) {
  if (progress.folder == nullptr) return;
  Checkpoint checkpoint = take_checkpoint(config_, decoder_, *optimizer_);
  checkpoint.position = position_;
  checkpoint.environment = environment();
  checkpoint.data_fingerprint = corpus_.fingerprint();
  progress.folder->save(std::move(checkpoint));
}

/// Of the step that has just been done.
StepRecord Trainer::make_record(const StageConfig& stage, const StepOutcome& outcome, double seconds) const {
  const int64_t context = config_.data.context_length;
  const int64_t retained = stage.lighthouse ? retained_length(context, config_.attention_of(stage)) : context;
  return {.step = position_.step,
          .tokens = position_.step * config_.tokens_per_step(),
          .seconds = position_.seconds,
          .time = time_of_day(),
          .stage = stage.name,
          .attention = kind_name(stage),
          .loss = outcome.loss,
          .learning_rate = learning_rate(config_.schedule, config_.optimizer.learning_rate, position_.step - 1,
                                         config_.total_steps()),
          .gradient_norm = outcome.gradient_norm,
          .tokens_per_second = static_cast<double>(config_.tokens_per_step()) / seconds,
          .retained_fraction = std::min(1.0, static_cast<double>(retained) / static_cast<double>(context))};
}

/// Runs what is left of a stage: steps, validations and checkpoints. A checkpoint comes after all records of its step,
/// so that the record holds exactly the steps that it has.
void Trainer::run_stage(const StageConfig& stage, int64_t stage_begin, Progress& progress) {
  apply_attention(stage);
  const auto due = [&](int64_t interval) { return interval > 0 && position_.step % interval == 0; };
  const int64_t stage_end = stage_begin + stage.steps;
  while (position_.step < stage_end) {
    const auto start = Clock::now();
    const StepOutcome outcome = train_step(position_.step);
    const double seconds = seconds_since(start);
    if (!std::isfinite(outcome.loss)) {
      throw std::runtime_error("the loss of step " + std::to_string(position_.step + 1) +
                               " is not finite; lower optimizer.learning_rate or lengthen schedule.warmup_steps");
    }
    ++position_.step;
    position_.seconds += seconds;
    const StepRecord record = make_record(stage, outcome, seconds);
    progress.result.steps.push_back(record);
    if (progress.folder != nullptr && due(config_.training.log_interval)) progress.folder->record(record);
    if (progress.observer.on_step) progress.observer.on_step(record);
    if (position_.step == stage_end) break;
    if (due(config_.training.validation_interval)) validate(stage, false, progress);
    progress.result.stopped = progress.observer.should_stop && progress.observer.should_stop();
    if (progress.result.stopped || due(config_.checkpoint.interval)) save(progress);
    if (progress.result.stopped) return;
    progress.result.paused = progress.observer.should_pause && progress.observer.should_pause();
    if (progress.result.paused) return;
  }
  validate(stage, true, progress);
  ++position_.stages_done;
  save(progress);
}

RunResult Trainer::run(const Observer& observer, RunFolder* folder, Metrics so_far) {
  Progress progress{observer, folder, {}};
  progress.result.steps = std::move(so_far.steps);
  progress.result.validations = std::move(so_far.validations);
  int64_t begin = 0;
  const auto count = static_cast<int64_t>(config_.stages.size());
  for (int64_t i = 0; i < count && !progress.result.stopped && !progress.result.paused; ++i) {
    const StageConfig& stage = config_.stages[static_cast<size_t>(i)];
    // Under changed stages the step alone says where the run stands.
    const bool done = i < position_.stages_done || position_.step > begin + stage.steps;
    if (!done) {
      if (observer.on_stage) observer.on_stage(stage, i);
      position_.stages_done = i;
      run_stage(stage, begin, progress);
      const bool more = i + 1 < count;
      progress.result.stopped |= more && observer.should_stop && observer.should_stop();
    }
    begin += stage.steps;
  }
  progress.result.stages = summarize_stages(progress.result.steps);
  progress.result.seconds = position_.seconds;
  return std::move(progress.result);
}

std::vector<StageResult> summarize_stages(const std::vector<StepRecord>& steps) {
  std::vector<StageResult> stages;
  StepRecord before;  // the last one of the stage before
  for (size_t i = 0; i < steps.size();) {
    std::vector<double> speeds;
    const std::string& name = steps[i].stage;
    for (; i < steps.size() && steps[i].stage == name; ++i) speeds.push_back(steps[i].tokens_per_second);
    const StepRecord& last = steps[i - 1];
    stages.push_back({name, last.attention, last.step - before.step, last.tokens - before.tokens,
                      last.seconds - before.seconds, median(std::move(speeds)), last.retained_fraction});
    before = last;
  }
  return stages;
}

}  // namespace lighthouse::train
