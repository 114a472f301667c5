#include "analysis/train_benchmark.h"

#include <ATen/DeviceAccelerator.h>
#include <c10/core/Event.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>

#include "analysis/median.h"
#include "model/parts.h"
#include "train/optimizer.h"
#include "train/trainer.h"

namespace lighthouse::analysis {
namespace {

using torch::Tensor;

/// A point in a device's time.
class Mark {
 public:
  explicit Mark(const torch::Device& device) {
    if (device.is_cuda()) {
      event_ = std::make_shared<c10::Event>(c10::DeviceType::CUDA, c10::EventFlag::BACKEND_DEFAULT);
      event_->record(at::accelerator::getCurrentStream(device.index()));
    }
  }
  /// From `begin`; both must have been reached.
  double ms_since(const Mark& begin) const {
    if (event_) return begin.event_->elapsedTime(*event_);
    return std::chrono::duration<double, std::milli>(time_ - begin.time_).count();
  }

 private:
  std::shared_ptr<c10::Event> event_;
  std::chrono::steady_clock::time_point time_ = std::chrono::steady_clock::now();
};

void wait_for(const torch::Device& device) {
  if (device.is_cuda()) at::accelerator::synchronizeDevice(device.index());
}

class PartTimes : public model::PartObserver {
 public:
  explicit PartTimes(const torch::Device& device) : device_(device) { model::part_observer = this; }
  ~PartTimes() override { model::part_observer = nullptr; }
  PartTimes(const PartTimes&) = delete;
  PartTimes& operator=(const PartTimes&) = delete;

  void begin(const char* name, const model::PartWork& work) override {
    spans_.push_back({name, work, Mark(device_), {}});
  }
  void end() override {
    const auto open = std::find_if(spans_.rbegin(), spans_.rend(), [](const Span& span) { return !span.end; });
    open->end = Mark(device_);
  }

  /// In the order of their first call.
  std::vector<PartTime> collect() const {
    std::vector<PartTime> parts;
    for (const Span& span : spans_) {
      auto part = std::find_if(parts.begin(), parts.end(), [&](const PartTime& p) { return p.name == span.name; });
      if (part == parts.end()) part = parts.insert(parts.end(), {.name = span.name});
      part->ms += span.end->ms_since(span.begin);
      part->flops += span.work.flops;
      part->bytes += span.work.bytes;
    }
    return parts;
  }

 private:
  struct Span {
    const char* name;
    model::PartWork work;
    Mark begin;
    std::optional<Mark> end;
  };
  torch::Device device_;
  std::deque<Span> spans_;
};

double median_ms(const torch::Device& device, int64_t repeats, const std::function<void()>& work) {
  std::vector<double> times;
  for (int64_t i = 0; i < repeats; ++i) {
    const Mark begin(device);
    work();
    const Mark end(device);
    wait_for(device);
    times.push_back(end.ms_since(begin));
  }
  return median(std::move(times));
}

/// Of a quarter of a second's rounds the fastest: clocks rise for a while after a pause, and fall on a hot card.
double fastest_ms(const torch::Device& device, const std::function<void()>& work) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(250);
  double fastest = median_ms(device, 10, work);
  while (std::chrono::steady_clock::now() < end) fastest = std::min(fastest, median_ms(device, 10, work));
  return fastest;
}

double measure_products(const train::ComputePlan& plan) {
  const int64_t size = plan.device.is_cuda() ? 8192 : 1024;
  const auto options = torch::TensorOptions(plan.device).dtype(plan.type);
  const Tensor a = torch::randn({size, size}, options), b = torch::randn({size, size}, options);
  Tensor c = torch::empty({size, size}, options);
  const auto work = [&] { torch::mm_out(c, a, b); };
  const double ms = fastest_ms(plan.device, work);
  return 2e3 * static_cast<double>(size) * static_cast<double>(size) * static_cast<double>(size) / ms;
}

double measure_copy(const train::ComputePlan& plan) {
  const int64_t bytes = int64_t{256} << 20;
  const auto options = torch::TensorOptions(plan.device).dtype(torch::kByte);
  const Tensor from = torch::ones({bytes}, options);
  Tensor to = torch::ones({bytes}, options);
  const auto work = [&] { to.copy_(from); };
  return 2e3 * static_cast<double>(bytes) / fastest_ms(plan.device, work);
}

void measure_device(TrainBenchmark& result) {
  result.product_flops_per_second = std::max(result.product_flops_per_second, measure_products(result.plan));
  result.copy_bytes_per_second = std::max(result.copy_bytes_per_second, measure_copy(result.plan));
}

void set_floors(const TrainBenchmark& of, double flops, StageBenchmark& stage) {
  stage.flops_utilisation = 1e3 * flops / stage.step_ms / of.product_flops_per_second;
  for (PartTime& part : stage.parts) {
    part.floor_ms = 1e3 * (part.flops / of.product_flops_per_second + part.bytes / of.copy_bytes_per_second);
  }
}

/// Of one micro-step's forward and backward: products, and attention over the rows that each layer attends to.
double model_flops(const train::RunConfig& config, const train::StageConfig& stage) {
  const model::ModelConfig& m = config.model;
  const double tokens = static_cast<double>(config.training.batch_size * config.data.context_length);
  const auto hidden = static_cast<double>(m.hidden_size);
  const auto heads = static_cast<double>(m.num_attention_heads * m.head_dim);
  const auto kv_heads = static_cast<double>(m.num_key_value_heads * m.head_dim);
  const double weights =
      static_cast<double>(m.num_hidden_layers) *
          (2 * hidden * heads + 2 * hidden * kv_heads + 3 * hidden * static_cast<double>(m.intermediate_size)) +
      static_cast<double>(m.vocab_size) * hidden;
  double attention = 0;
  for (int64_t layer = 0; layer < m.num_hidden_layers; ++layer) {
    const auto& dense = m.full_attention_layers;
    const bool whole = !stage.lighthouse || std::find(dense.begin(), dense.end(), layer) != dense.end();
    const int64_t all = config.data.context_length;
    const auto rows =
        static_cast<double>(whole ? all : std::min(all, retained_length(all, config.attention_of(stage))));
    attention += 3.5 * 2 * static_cast<double>(config.training.batch_size) * heads * rows * rows;
  }
  return 6 * weights * tokens + attention;
}

StageBenchmark measure_stage(const train::RunConfig& config, const train::StageConfig& stage, int64_t repeats,
                             const torch::Device& device, model::Decoder& decoder, train::AdamW& optimizer) {
  decoder->set_attention(stage.lighthouse ? model::AttentionKind::kLighthouse : model::AttentionKind::kDense,
                         config.attention_of(stage));
  const auto random = [&] {
    return torch::randint(0, config.model.vocab_size, {config.training.batch_size, config.data.context_length},
                          torch::kInt64)
        .to(device);
  };
  const Tensor tokens = random(), targets = random();
  const auto step = [&] {
    optimizer.zero_grad();
    const Tensor loss = decoder->loss(tokens, targets);
    loss.backward();
    const model::PartScope scope("optimiser", {});
    optimizer.step(1e-6, loss);
  };
  StageBenchmark result;
  result.name = stage.name;
  result.lighthouse = stage.lighthouse;
  result.steps = stage.steps;
  if (device.is_cuda()) {
    at::accelerator::emptyCache();
    at::accelerator::resetPeakStats(device.index());
  }
  step();
  wait_for(device);
  result.step_ms = median_ms(device, repeats, step);
  if (device.is_cuda()) {
    const auto stats = at::accelerator::getDeviceStats(device.index());
    result.peak_bytes = static_cast<double>(stats.allocated_bytes[0].peak);
    result.peak_reserved_bytes = static_cast<double>(stats.reserved_bytes[0].peak);
  }
  const double tokens_per_step = static_cast<double>(config.training.batch_size * config.data.context_length);
  result.tokens_per_second = 1e3 * tokens_per_step / result.step_ms;
  PartTimes parts(device);
  result.watched_step_ms = median_ms(device, 1, step);
  result.parts = parts.collect();
  double claimed = 0;
  for (const PartTime& part : result.parts) claimed += part.ms;
  result.parts.push_back({.name = "all else", .ms = result.watched_step_ms - claimed});
  return result;
}

}  // namespace

TrainBenchmark benchmark_training(const train::RunConfig& config, int64_t repeats,
                                  const std::function<void(const std::string&)>& activity) {
  TrainBenchmark result;
  result.plan = train::plan_compute(config);
  train::set_deterministic(config.training.deterministic);
  const std::string measuring = "a large product and a large copy";
  activity(measuring);
  measure_device(result);
  model::Decoder decoder = train::make_decoder(config, result.plan);
  train::AdamW optimizer(*decoder, config.optimizer);
  for (const train::StageConfig& stage : config.stages) {
    activity("stage " + stage.name);
    result.stages.push_back(measure_stage(config, stage, repeats, result.plan.device, decoder, optimizer));
  }
  activity(measuring + " again");
  measure_device(result);
  for (size_t i = 0; i < result.stages.size(); ++i) {
    set_floors(result, model_flops(config, config.stages[i]), result.stages[i]);
  }
  return result;
}

}  // namespace lighthouse::analysis
