#include "analysis/benchmark.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "analysis/median.h"
#include "analysis/memory_peak.h"
#include "lighthouse/attention.h"
#include "ops/operators.h"

namespace lighthouse::analysis {
namespace {

using at::Tensor;
using Clock = std::chrono::steady_clock;

/// Larger than any cache, so that the copy's speed is the memory's and stages after it start with nothing cached.
constexpr int64_t kCopyBytes = int64_t{64} << 20;

double ms_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double, std::milli>(end - begin).count();
}

double ms_of(const std::function<void()>& run) {
  const auto begin = Clock::now();
  run();
  return ms_between(begin, Clock::now());
}

struct Inputs {
  Tensor query, key, value;
  Tensor grad;  ///< Of the output.

  void clear_gradients() {
    for (Tensor* leaf : {&query, &key, &value}) leaf->mutable_grad() = Tensor();
  }
};

Inputs make_inputs(const BenchmarkSetting& setting, int64_t num_tokens) {
  torch::manual_seed(0);
  const auto random = [&](int64_t heads) {
    return torch::randn({setting.batch, heads, num_tokens, setting.head_dim}, setting.dtype);
  };
  return {random(setting.heads).requires_grad_(), random(setting.kv_heads).requires_grad_(),
          random(setting.kv_heads).requires_grad_(), random(setting.heads)};
}

using Attention = std::function<Tensor(const Inputs&)>;

/// One iteration. Gradients of the one before are gone first: they are this one's to allocate.
PassTimes iterate(const Attention& attention, Inputs& inputs) {
  inputs.clear_gradients();
  const auto begin = Clock::now();
  const Tensor output = attention(inputs);
  const auto middle = Clock::now();
  output.backward(inputs.grad);
  return {ms_between(begin, middle), ms_between(begin, Clock::now())};
}

/// Notes when a node of the backward graph is reached.
class NoteTime : public torch::autograd::FunctionPreHook {
 public:
  explicit NoteTime(std::shared_ptr<Clock::time_point> reached) : reached_(std::move(reached)) {}
  torch::autograd::variable_list operator()(const torch::autograd::variable_list& grads) override {
    *reached_ = Clock::now();
    return grads;
  }

 private:
  std::shared_ptr<Clock::time_point> reached_;
};

/// The default inner attention, with the times of its last forward and backward.
class TimedInner {
 public:
  Tensor operator()(const Tensor& query, const Tensor& key, const Tensor& value, double scale) {
    const auto start = Clock::now();
    const Tensor output = dense_attention(query, key, value, scale);
    forward_ms_ = ms_between(start, Clock::now());
    // Backward: from where the output's gradient is ready to where gather's turn comes, which needs all three
    // gradients. With fewer key/value heads than query heads that takes in the sum over each group.
    output.grad_fn()->add_pre_hook(std::make_unique<NoteTime>(began_));
    query.grad_fn()->add_pre_hook(std::make_unique<NoteTime>(ended_));
    return output;
  }

  PassTimes times() const { return {forward_ms_, forward_ms_ + ms_between(*began_, *ended_)}; }

 private:
  double forward_ms_ = 0;
  std::shared_ptr<Clock::time_point> began_ = std::make_shared<Clock::time_point>();
  std::shared_ptr<Clock::time_point> ended_ = std::make_shared<Clock::time_point>();
};

struct Samples {
  std::vector<double> forward, both;

  void add(const PassTimes& times) {
    forward.push_back(times.forward_ms);
    both.push_back(times.forward_backward_ms);
  }
  PassTimes medians() const { return {median(forward), median(both)}; }
};

/// A Lighthouse layer and the samples of it.
class LayerRun {
 public:
  LayerRun(const BenchmarkSetting& setting, const Variant& variant, int64_t num_tokens)
      : result_{.variant = variant,
                .geometry = Geometry(num_tokens, variant.over(num_tokens)),
                .layer = {},
                .inner = {},
                .stages = {}} {
    static_cast<PyramidOptions&>(options_) = variant.over(num_tokens);
    options_.causal_selection = setting.causal_selection;
    options_.inner = [this](const Tensor& q, const Tensor& k, const Tensor& v, double scale) {
      return inner_(q, k, v, scale);
    };
  }
  LayerRun(const LayerRun&) = delete;
  LayerRun& operator=(const LayerRun&) = delete;

  const AttentionOptions& options() const { return options_; }

  void warm_up(Inputs& inputs) {
    inputs.clear_gradients();
    result_.peak_bytes = memory_peak([&] { iterate(attention(), inputs); });
    iterate(attention(), inputs);
  }

  void sample(Inputs& inputs) {
    const PassTimes whole = iterate(attention(), inputs);
    const PassTimes inner = inner_.times();
    layer_samples_.add(whole);
    inner_samples_.add(inner);
    beside_samples_.push_back(whole.forward_backward_ms - inner.forward_backward_ms);
  }

  LayerResult result() const {
    LayerResult result = result_;
    result.layer = layer_samples_.medians();
    result.inner = inner_samples_.medians();
    result.beside_ms = median(beside_samples_);
    return result;
  }

 private:
  Attention attention() const {
    return [this](const Inputs& x) { return lighthouse::attention(x.query, x.key, x.value, options_); };
  }

  LayerResult result_;
  AttentionOptions options_;
  TimedInner inner_;
  Samples layer_samples_, inner_samples_;
  std::vector<double> beside_samples_;
};

/// Dense attention and the samples of it.
class DenseRun {
 public:
  DenseRun(const BenchmarkSetting& setting, Inputs& inputs) {
    inputs.clear_gradients();
    PassTimes first;
    result_.peak_bytes = memory_peak([&] { first = iterate(attention_, inputs); });
    const double fitting = 1e3 * kDenseSeconds / first.forward_backward_ms;
    if (fitting < 2) {
      samples_.add(first);  // too dear to be a warm-up only
    } else {
      wanted_ = std::min(setting.repeats, static_cast<int64_t>(fitting));
    }
  }

  bool done() const { return static_cast<int64_t>(samples_.both.size()) >= wanted_; }
  void sample(Inputs& inputs) { samples_.add(iterate(attention_, inputs)); }

  DenseResult result() const {
    DenseResult result = result_;
    result.times = samples_.medians();
    result.repeats = static_cast<int64_t>(samples_.both.size());
    return result;
  }

 private:
  Attention attention_ = [](const Inputs& x) { return dense_attention(x.query, x.key, x.value); };
  DenseResult result_;
  Samples samples_;
  int64_t wanted_ = 1;
};

struct Stage {
  std::string name;
  std::function<void()> run;
  int64_t bytes;
};

/// The layer's stages apart, each with the bytes that it must move (docs/ALGORITHM.md, 9).
std::vector<Stage> stages_of(const Inputs& x, const AttentionOptions& options) {
  const Tree tree = lighthouse::select(x.query, x.key, options);
  const Gathered rows = lighthouse::gather(x.query, x.key, x.value, tree);
  const PyramidOptions pyramid{options.num_levels, options.pooling_factor, options.top_k, tree.geometry.num_tiles()};
  const auto bytes = [](const std::vector<Tensor>& tensors) {
    int64_t sum = 0;
    for (const auto& tensor : tensors) sum += static_cast<int64_t>(tensor.nbytes());
    return sum;
  };
  const int64_t gathered = bytes({x.query, x.key, x.value, rows.query, rows.key, rows.value});
  const int64_t scattered = bytes({rows.query, x.query});
  return {
      {"select", [=] { lighthouse::select(x.query, x.key, options); }, bytes({x.query, x.key})},
      {"gather", [=] { lighthouse::gather(x.query, x.key, x.value, tree); }, gathered},
      {"scatter", [=] { lighthouse::scatter(rows.query, tree); }, scattered},
      {"scatter backward", [=] { ops::scatter_backward(x.grad, tree.nodes, pyramid); }, scattered},
      {"gather backward",
       [=] { ops::gather_backward(rows.query, rows.key, rows.value, tree.nodes, tree.geometry.num_tokens(), pyramid); },
       gathered},
  };
}

/// Sets the result's stages, and the speed of the copies among them.
void time_stages(const std::vector<Stage>& stages, int64_t repeats, LayerResult& result) {
  const Tensor from = at::ones({kCopyBytes}, at::kChar);
  Tensor to = at::ones({kCopyBytes}, at::kChar);
  std::vector<double> copies;
  std::vector<std::vector<double>> samples(stages.size());
  for (const auto& stage : stages) stage.run();
  for (int64_t i = 0; i < repeats; ++i) {
    for (size_t s = 0; s < stages.size(); ++s) {
      copies.push_back(ms_of([&] { to.copy_(from); }));
      samples[s].push_back(ms_of(stages[s].run));
    }
  }
  result.copy_bytes_per_second = 1e3 * 2 * kCopyBytes / median(copies);
  for (size_t s = 0; s < stages.size(); ++s) {
    const double floor_ms = 1e3 * static_cast<double>(stages[s].bytes) / result.copy_bytes_per_second;
    result.stages.push_back({stages[s].name, median(samples[s]), stages[s].bytes, floor_ms});
  }
}

}  // namespace

LengthResult measure(const BenchmarkSetting& setting, const LengthPlan& plan, const Activity& activity) {
  const auto say = [&](const std::string& what) {
    if (activity) activity(what);
  };
  Inputs inputs = make_inputs(setting, plan.num_tokens);
  std::vector<std::unique_ptr<LayerRun>> layers;
  for (const auto& variant : plan.variants) {
    layers.push_back(std::make_unique<LayerRun>(setting, variant, plan.num_tokens));
  }
  say("warming up");
  for (auto& layer : layers) layer->warm_up(inputs);
  std::optional<DenseRun> dense;
  if (setting.dense) {
    say("dense attention, first iteration");
    dense.emplace(setting, inputs);
  }
  for (int64_t i = 0; i < setting.repeats; ++i) {
    say("iteration " + std::to_string(i + 1) + " of " + std::to_string(setting.repeats));
    if (dense && !dense->done()) dense->sample(inputs);
    for (auto& layer : layers) layer->sample(inputs);
  }
  inputs.clear_gradients();

  say("stages");
  LengthResult result{.num_tokens = plan.num_tokens, .dense = std::nullopt, .layers = {}};
  if (dense) result.dense = dense->result();
  const at::NoGradGuard no_gradients;
  for (auto& layer : layers) {
    result.layers.push_back(layer->result());
    time_stages(stages_of(inputs, layer->options()), setting.repeats, result.layers.back());
  }
  return result;
}

double expected_seconds(const BenchmarkSetting& setting, const LengthPlan& plan, const LengthResult& measured) {
  // In units of one query-key pair of dense attention. What stands beside the inner call costs about 150 of them per
  // token.
  constexpr double kBesidePairs = 150;
  const auto dense_cost = [](int64_t n) { return static_cast<double>(n) * static_cast<double>(n); };
  const auto layer_cost = [&](int64_t n, int64_t s) { return dense_cost(s) + kBesidePairs * static_cast<double>(n); };
  const LayerResult& layer = measured.layers.front();
  const double unit =
      1e-3 * (measured.dense ? measured.dense->times.forward_backward_ms / dense_cost(measured.num_tokens)
                             : layer.layer.forward_backward_ms /
                                   layer_cost(measured.num_tokens, layer.geometry.retained_length()));
  double seconds = 0;
  if (setting.dense) {
    const double once = unit * dense_cost(plan.num_tokens);
    const double repeats = std::floor(std::min(kDenseSeconds / once, static_cast<double>(setting.repeats)));
    seconds += once * (repeats < 2 ? 1 : 1 + repeats);
  }
  for (const auto& variant : plan.variants) {
    const Geometry geometry(plan.num_tokens, variant.over(plan.num_tokens));
    // Two iterations warm up.
    seconds +=
        unit * layer_cost(plan.num_tokens, geometry.retained_length()) * static_cast<double>(setting.repeats + 2);
  }
  return seconds;
}

}  // namespace lighthouse::analysis
