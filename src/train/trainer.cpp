#include "train/trainer.h"

#include <ATen/DeviceAccelerator.h>
#include <c10/core/Event.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>

#include "train/config_difference.h"
#include "train/schedule.h"
#include "train/text_tokens.h"

namespace lighthouse::train {
namespace {

using Clock = std::chrono::steady_clock;

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

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

const char* kind_name(const StageConfig& stage) { return stage.lighthouse ? "lighthouse" : "dense"; }

bool ends_stage(const RunConfig& config, int64_t step) {
  int64_t end = 0;
  for (const auto& stage : config.stages) {
    end += stage.steps;
    if (step == end) return true;
  }
  return false;
}

/// A point in the time of the device that computes. The host's clock would not do: a step is handed over in pieces
/// while the one before still runs.
class Moment {
 public:
  explicit Moment(const torch::Device& device) : time_(Clock::now()) {
    if (device.is_cpu()) return;
    event_ = std::make_shared<c10::Event>(device.type(), c10::EventFlag::BACKEND_DEFAULT);
    event_->record(at::accelerator::getCurrentStream(device.index()));
  }
  void wait() const {
    if (event_) event_->synchronize();
  }
  /// Both must have come.
  double seconds_since(const Moment& before) const {
    if (event_) return before.event_->elapsedTime(*event_) / 1e3;
    return std::chrono::duration<double>(time_ - before.time_).count();
  }

 private:
  Clock::time_point time_;
  std::shared_ptr<c10::Event> event_;
};

/// How many steps up to `step` were skipped, one after the other: the record has every skipped one.
int64_t skipped_before(const std::vector<StepRecord>& steps, int64_t step) {
  int64_t count = 0;
  for (auto record = steps.rbegin(); record != steps.rend() && record->skipped && record->step == step - count;
       ++record) {
    ++count;
  }
  return count;
}

}  // namespace

model::Decoder make_decoder(const RunConfig& config, const ComputePlan& plan) {
  torch::manual_seed(static_cast<uint64_t>(config.seed));
  // Drawn on the host, so that a seed means the same weights everywhere.
  model::Decoder decoder(config.model);
  decoder->to(plan.device);
  decoder->set_compute_type(plan.type);
  decoder->set_recompute(plan.recompute);
  return decoder;
}

/// Who watches a run, and what it has recorded.
struct Trainer::Progress {
  const Observer& observer;
  RunFolder* folder;
  RunResult result;
  std::deque<PendingStep> pending;
  Moment before;  // when the step before ended, or the first of them began
  int64_t skipped_in_a_row = 0;
};

struct Trainer::PendingStep {
  StepRecord record;     // all but what the device computes
  torch::Tensor report;  // AdamW's, on the host
  Moment done;
};

Trainer::Trainer(const RunConfig& config)
    : config_((model::check(config.model), config)),
      plan_(plan_compute(config)),
      corpus_(config.data, static_cast<uint64_t>(config.seed), config.model.vocab_size, {config.output_dir}) {
  if (config_.data.format == DataFormat::kAuto && config_.model.vocab_size != kByteTokens && corpus_.is_all_text()) {
    config_.data.format = DataFormat::kText;
  }
  if (config.training.num_threads > 0) at::set_num_threads(static_cast<int>(config.training.num_threads));
  set_deterministic(config.training.deterministic);
  // Now, and not at the first step: the kernel that is named, here or by LIGHTHOUSE_INNER, may be none of this
  // machine's.
  chosen_inner_kernel(torch::empty({1, 1, 2, config.model.head_dim}, torch::dtype(plan_.type).device(plan_.device)),
                      config.training.inner_kernel);
  decoder_ = make_decoder(config, plan_);
  optimizer_ = std::make_unique<AdamW>(*decoder_, config.optimizer);
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
  if (!corpus_.matches(checkpoint.data)) {
    throw std::runtime_error("the data changed since " + source + " was written: " +
                             corpus_.difference_from(checkpoint.data) + ". Expected the data that the run began with");
  }
  if (checkpoint.config.tokens_per_step() != config_.tokens_per_step() ||
      checkpoint.config.data.context_length != config_.data.context_length) {
    const auto text = [](const RunConfig& config) {
      return std::to_string(config.tokens_per_step()) + " tokens in sequences of " +
             std::to_string(config.data.context_length);
    };
    throw std::runtime_error(source + " counts its place in the data in steps of " + text(checkpoint.config) +
                             "; got " + text(config_) +
                             ". Other sizes need a run of their own, which --init begins from these weights");
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

torch::Tensor Trainer::to_device(const torch::Tensor& tokens) const {
  if (plan_.device.is_cpu()) return tokens;
  return tokens.pin_memory().to(plan_.device, /*non_blocking=*/true);
}

/// Hands the device the next step. Its record is finished by finish_step().
Trainer::PendingStep Trainer::start_step(const StageConfig& stage) {
  const TrainingConfig& training = config_.training;
  const int64_t step = position_.step;
  const double rate = learning_rate(config_.schedule, config_.optimizer.learning_rate, step, config_.total_steps());
  optimizer_->zero_grad();
  torch::Tensor loss;
  for (int64_t micro = 0; micro < training.accumulation_steps; ++micro) {
    const int64_t first = (step * training.accumulation_steps + micro) * training.batch_size;
    const Batch batch = make_batch(training.batch_size, config_.data.context_length, [&](int64_t row, int64_t* out) {
      corpus_.read_training_sequence(first + row, out);
    });
    const torch::Tensor part =
        decoder_->loss(to_device(batch.tokens), to_device(batch.targets), training.accumulation_steps);
    part.backward();
    loss = loss.defined() ? loss + part.detach() : part.detach();
  }
  const torch::Tensor report = optimizer_->step(rate, loss);
  ++position_.step;

  const int64_t context = config_.data.context_length;
  const int64_t retained = stage.lighthouse ? retained_length(context, config_.attention_of(stage)) : context;
  StepRecord record;
  record.step = position_.step;
  record.tokens = position_.step * config_.tokens_per_step();
  record.stage = stage.name;
  record.attention = kind_name(stage);
  record.learning_rate = rate;
  record.retained_fraction = std::min(1.0, static_cast<double>(retained) / static_cast<double>(context));
  torch::Tensor on_host = report;
  if (report.is_cuda()) {
    on_host = torch::empty_like(report, report.options().device(torch::kCPU).pinned_memory(true));
    on_host.copy_(report, /*non_blocking=*/true);
  }
  return {std::move(record), on_host, Moment(plan_.device)};
}

/// Waits for the oldest step, and records it.
void Trainer::finish_step(Progress& progress) {
  PendingStep pending = std::move(progress.pending.front());
  progress.pending.pop_front();
  pending.done.wait();
  const double seconds = pending.done.seconds_since(progress.before);
  progress.before = pending.done;
  position_.seconds += seconds;

  StepRecord& record = pending.record;
  const float* const report = pending.report.const_data_ptr<float>();
  record.loss = report[0];
  record.gradient_norm = report[1];
  record.skipped = report[2] != 0;
  record.seconds = position_.seconds;
  record.time = time_of_day();
  record.tokens_per_second = static_cast<double>(config_.tokens_per_step()) / seconds;
  progress.result.steps.push_back(record);
  const bool logged = record.step % config_.training.log_interval == 0 || ends_stage(config_, record.step);
  if (progress.folder != nullptr && (record.skipped || logged)) {
    progress.folder->record(record);
  }
  if (progress.observer.on_step) progress.observer.on_step(record);
  progress.skipped_in_a_row = record.skipped ? progress.skipped_in_a_row + 1 : 0;
}

/// Waits for all steps, and gives up where too many in a row were skipped.
void Trainer::finish_all(Progress& progress) {
  while (!progress.pending.empty()) finish_step(progress);
  if (progress.skipped_in_a_row < config_.training.max_skipped_steps) return;
  save(progress);
  throw std::runtime_error("the loss or the gradient of " + std::to_string(progress.skipped_in_a_row) +
                           " steps in a row, up to step " + std::to_string(position_.step) +
                           ", is not finite; those steps were skipped" +
                           (progress.folder == nullptr ? "" : ", and a checkpoint has the weights before them") +
                           (progress.skipped_in_a_row < position_.step
                                ? ". Lower optimizer.learning_rate or lengthen schedule.warmup_steps"
                                : ". No step was taken, so it is the first weights: model.initializer_range, or those "
                                  "that init names"));
}

double Trainer::validation_loss() {
  const torch::NoGradGuard no_grad;
  const int64_t count = std::min(config_.training.validation_sequences, corpus_.validation_sequences());
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const Batch batch = make_batch(1, config_.data.context_length,
                                   [&](int64_t, int64_t* out) { corpus_.read_validation_sequence(i, count, out); });
    sum += decoder_->loss(to_device(batch.tokens), to_device(batch.targets)).item<double>();
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
  AttentionOptions dense;
  dense.inner_kernel = config_.training.inner_kernel;
  decoder_->set_attention(model::AttentionKind::kDense, dense);
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
  checkpoint.skipped_in_a_row = progress.skipped_in_a_row;
  checkpoint.environment = environment(plan_);
  checkpoint.data = corpus_.record();
  progress.folder->save(std::move(checkpoint));
}

/// Runs what is left of a stage: steps, validations and checkpoints. A checkpoint comes after all records of its step,
/// so that the record holds exactly the steps that it has.
void Trainer::run_stage(const StageConfig& stage, int64_t stage_begin, Progress& progress) {
  apply_attention(stage);
  const auto due = [&](int64_t interval) { return interval > 0 && position_.step % interval == 0; };
  const int64_t stage_end = stage_begin + stage.steps;
  const size_t ahead = plan_.device.is_cuda() ? 1 : 0;
  const auto asked = [](const std::function<bool()>& question) { return question && question(); };
  progress.before = Moment(plan_.device);
  while (position_.step < stage_end) {
    progress.pending.push_back(start_step(stage));
    while (progress.pending.size() > ahead) finish_step(progress);
    if (progress.skipped_in_a_row >= config_.training.max_skipped_steps) finish_all(progress);
    if (position_.step == stage_end) break;
    const bool validates = due(config_.training.validation_interval);
    if (validates) {
      finish_all(progress);
      validate(stage, false, progress);
    }
    progress.result.stopped = asked(progress.observer.should_stop);
    const bool saves = progress.result.stopped || due(config_.checkpoint.interval);
    if (saves) {
      finish_all(progress);
      save(progress);
    }
    if (progress.result.stopped) return;
    progress.result.paused = asked(progress.observer.should_pause);
    if (progress.result.paused) finish_all(progress);
    if (progress.result.paused) return;
    if (validates || saves) progress.before = Moment(plan_.device);
  }
  finish_all(progress);
  validate(stage, true, progress);
  ++position_.stages_done;
  save(progress);
}

/// Where the data cannot be read any more, the steps so far are saved before the run ends.
void Trainer::run_stage_or_save(const StageConfig& stage, int64_t stage_begin, Progress& progress) {
  try {
    run_stage(stage, stage_begin, progress);
  } catch (const DataError& error) {
    finish_all(progress);
    if (progress.folder == nullptr || position_.step == 0) throw;
    save(progress);
    throw DataError(std::string(error.what()) + ". A checkpoint has the steps up to " + std::to_string(position_.step) +
                    ": put the data back as it was, and go on with --resume");
  }
}

RunResult Trainer::run(const Observer& observer, RunFolder* folder, Metrics so_far) {
  // Before the first step, not at the first checkpoint: a signal that asks for one must not wait for this.
  if (folder != nullptr) corpus_.record();
  Progress progress{observer, folder, {}, {}, Moment(plan_.device)};
  progress.result.steps = std::move(so_far.steps);
  progress.result.validations = std::move(so_far.validations);
  progress.skipped_in_a_row = skipped_before(progress.result.steps, position_.step);
  int64_t begin = 0;
  const auto count = static_cast<int64_t>(config_.stages.size());
  for (int64_t i = 0; i < count && !progress.result.stopped && !progress.result.paused; ++i) {
    const StageConfig& stage = config_.stages[static_cast<size_t>(i)];
    // Under changed stages the step says where the run stands; at a stage's end, whether its last validation was done.
    const int64_t end = begin + stage.steps;
    const bool done = position_.step > end || (position_.step == end && i < position_.stages_done);
    if (!done) {
      if (observer.on_stage) observer.on_stage(stage, i);
      position_.stages_done = i;
      run_stage_or_save(stage, begin, progress);
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
