#include <ATen/Context.h>

#include "analysis/cuda_benchmark.h"
#include "analysis/cuda_graph.h"
#include "analysis/cuda_layer.h"
#include "analysis/cuda_timing.h"

namespace lighthouse::analysis {
namespace {

constexpr int64_t kGraphTokens = 16384;
constexpr int64_t kLongTokens = 524288;
constexpr int64_t kLongTopK = 2048;

/// torch's deterministic mode, and what was set before on the way out.
class DeterministicMode {
 public:
  explicit DeterministicMode(bool on)
      : was_on_(at::globalContext().deterministicAlgorithms()),
        only_warned_(at::globalContext().deterministicAlgorithmsWarnOnly()) {
    at::globalContext().setDeterministicAlgorithms(on, /*warn_only=*/false);
  }
  DeterministicMode(const DeterministicMode&) = delete;
  DeterministicMode& operator=(const DeterministicMode&) = delete;
  ~DeterministicMode() { at::globalContext().setDeterministicAlgorithms(was_on_, only_warned_); }

 private:
  bool was_on_, only_warned_;
};

Work in_mode(bool deterministic, const Work& work) {
  return [=] {
    const DeterministicMode mode(deterministic);
    work();
  };
}

void measure_graph(const BenchmarkSetting& setting, const Activity& say, GraphResult& result) {
  const CudaInputs inputs = make_cuda_inputs(setting, result.where);
  const Work layer = forward_backward_of(layer_attention(result.where), inputs);
  const Work dense = forward_backward_of(default_attention(), inputs);
  say("capturing a CUDA graph");
  std::unique_ptr<CudaGraph> graph;
  const std::string reason = attempt([&] { graph = std::make_unique<CudaGraph>(layer); });
  InterleavedTimer timer;
  const size_t layer_at = timer.add("layer", layer);
  const size_t dense_at = timer.add("dense", dense);
  size_t graph_at = 0;
  if (graph) graph_at = timer.add("layer in a CUDA graph", [&] { graph->replay(); });
  timer.run(setting.repeats, say);
  result.layer = timer.ms(layer_at);
  result.dense = timer.ms(dense_at);
  result.graph = graph ? timer.ms(graph_at) : Figure::none(reason);
}

void measure_modes(const BenchmarkSetting& setting, const Activity& say, CudaExtras& extras) {
  const CudaInputs inputs = make_cuda_inputs(setting, extras.long_case);
  const CudaAttention layer = layer_attention(extras.long_case);
  InterleavedTimer timer;
  std::vector<std::pair<size_t, size_t>> indices;
  for (const auto& mode : extras.modes) {
    const std::string name = mode.deterministic ? "deterministic layer" : "layer";
    const size_t forward = timer.add(name, in_mode(mode.deterministic, forward_of(layer, inputs)));
    indices.emplace_back(forward, timer.add(name + ", forward and backward",
                                            in_mode(mode.deterministic, forward_backward_of(layer, inputs))));
  }
  timer.run(setting.repeats, say);
  say("peak memory");
  for (size_t i = 0; i < indices.size(); ++i) {
    ModeResult& mode = extras.modes[i];
    mode.ms = {timer.ms(indices[i].first), timer.ms(indices[i].second)};
    mode.peak_bytes = {peak_bytes(in_mode(mode.deterministic, forward_of(layer, inputs))),
                       peak_bytes(in_mode(mode.deterministic, forward_backward_of(layer, inputs)))};
  }
}

}  // namespace

CudaExtras measure_cuda_extras(const BenchmarkSetting& setting, const Activity& activity) {
  const Activity say = activity ? activity : [](const std::string&) {};
  CudaExtras extras;
  extras.graph.where.num_tokens = kGraphTokens;
  extras.long_case.num_tokens = kLongTokens;
  extras.long_case.variant.top_k = kLongTopK;
  extras.modes.resize(2);
  extras.modes[1].deterministic = true;
  const auto missing = [](const std::string& reason, const std::vector<Figure*>& figures) {
    for (Figure* figure : figures) {
      if (!reason.empty() && !figure->value) *figure = Figure::none(reason);
    }
  };
  GraphResult& graph = extras.graph;
  missing(attempt([&] { measure_graph(setting, say, graph); }), {&graph.graph, &graph.layer, &graph.dense});
  free_cached_memory();
  const std::string reason = attempt([&] { measure_modes(setting, say, extras); });
  for (auto& mode : extras.modes) {
    missing(reason,
            {&mode.ms.forward, &mode.ms.forward_backward, &mode.peak_bytes.forward, &mode.peak_bytes.forward_backward});
  }
  free_cached_memory();
  return extras;
}

}  // namespace lighthouse::analysis
