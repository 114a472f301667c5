#include "analysis/cuda_benchmark.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <stdexcept>

#include "analysis/cuda_layer.h"
#include "analysis/cuda_timing.h"
#include "lighthouse/rotary.h"
#include "ops/operators.h"

namespace lighthouse::analysis {
namespace {

using at::Tensor;

struct PassIndices {
  size_t forward = 0, forward_backward = 0;
};

PassIndices add_passes(InterleavedTimer& timer, const std::string& name, const CudaAttention& attention,
                       const CudaInputs& inputs) {
  const size_t forward = timer.add(name + ", forward", forward_of(attention, inputs));
  return {forward, timer.add(name + ", forward and backward", forward_backward_of(attention, inputs))};
}

PassFigures times_of(const InterleavedTimer& timer, const PassIndices& indices) {
  return {timer.ms(indices.forward), timer.ms(indices.forward_backward)};
}

PassFigures peaks_of(const CudaAttention& attention, const CudaInputs& inputs) {
  return {peak_bytes(forward_of(attention, inputs)), peak_bytes(forward_backward_of(attention, inputs))};
}

/// Gathered rows as leaves.
CudaInputs gathered_leaves(const CudaInputs& inputs, const Tree& tree) {
  const at::NoGradGuard no_gradients;
  const Gathered rows = lighthouse::gather(inputs.query, inputs.key, inputs.value, tree);
  const auto leaf = [](const Tensor& x) { return x.detach().requires_grad_(); };
  return {leaf(rows.query), leaf(rows.key), leaf(rows.value), at::randn_like(rows.query)};
}

struct CudaStage {
  std::string name;
  Work work;
  int64_t bytes;
};

std::vector<CudaStage> stages_of(const BenchmarkSetting& setting, const CudaCase& where, const CudaInputs& x,
                             const CudaInputs& rows, const Tree& tree) {
  const AttentionOptions options = options_of(where);
  const int64_t n = where.num_tokens;
  const PyramidOptions pyramid{options.num_levels, options.pooling_factor, options.top_k, tree.geometry.num_tiles()};
  const Traffic traffic = traffic_of(setting, tree.geometry);
  const Tensor angles = at::rand({n, setting.head_dim / 2}, at::TensorOptions(at::kCUDA).dtype(at::kFloat));
  const Tensor cos = angles.cos();
  const Tensor sin = angles.sin();
  const WindowScores scores = rotary_score(x.query, x.key, cos, sin, pyramid).scores;
  return {
      {"select", [=] { lighthouse::select(x.query, x.key, options); }, traffic.select},
      {"gather", [=] { lighthouse::gather(x.query, x.key, x.value, tree); }, traffic.gather},
      {"scatter", [=] { lighthouse::scatter(rows.query, tree); }, traffic.scatter},
      {"scatter backward", [=] { ops::scatter_backward(x.grad, tree.nodes, pyramid); }, traffic.scatter},
      {"gather backward", [=] { ops::gather_backward(rows.query, rows.key, rows.value, tree.nodes, n, pyramid); },
       traffic.gather},
      {"select and gather",
       [=] { lighthouse::gather(x.query, x.key, x.value, lighthouse::select(x.query, x.key, options)); },
       traffic.select + traffic.gather},
      {"cascade", [=] { lighthouse::select(scores, n, options); }, 0},
      {"rotary", [=] { rotary(x.query, x.key, cos, sin); }, traffic.rotary},
      {"rotary score", [=] { rotary_score(x.query, x.key, cos, sin, pyramid); }, traffic.rotary},
  };
}

void measure_into(CudaResult& result, const BenchmarkSetting& setting, const Activity& say) {
  const CudaCase& where = result.where;
  const CudaInputs inputs = make_cuda_inputs(setting, where);
  const Tree tree = lighthouse::select(inputs.query, inputs.key, options_of(where));
  const CudaInputs rows = gathered_leaves(inputs, tree);
  const CudaAttention layer = layer_attention(where);
  const CudaAttention dense = default_attention();
  // FlashAttention-2 has 16-bit types only.
  const bool flash = setting.dense && where.num_tokens <= kLongestFlash && setting.dtype != at::kFloat;

  InterleavedTimer timer;
  const PassIndices layer_at = add_passes(timer, "layer", layer, inputs);
  const PassIndices inner_at = add_passes(timer, "inner call", dense, rows);
  PassIndices dense_at, flash_at;
  if (setting.dense) dense_at = add_passes(timer, "dense", dense, inputs);
  if (flash) flash_at = add_passes(timer, "FlashAttention-2", flash_attention(), inputs);
  std::vector<std::pair<size_t, CudaStage>> stages;
  {
    const at::NoGradGuard no_gradients;
    for (auto& stage : stages_of(setting, where, inputs, rows, tree)) {
      const size_t index = timer.add(stage.name, [work = stage.work] {
        const at::NoGradGuard none_in_stages;
        work();
      });
      stages.emplace_back(index, std::move(stage));
    }
  }
  timer.run(result.repeats, say);
  result.copy_bytes_per_second = timer.copy_bytes_per_second();
  result.layer = times_of(timer, layer_at);
  result.inner = times_of(timer, inner_at);
  if (setting.dense) result.dense = times_of(timer, dense_at);
  if (flash) result.flash = times_of(timer, flash_at);
  for (const auto& [index, stage] : stages) result.stages.push_back({stage.name, timer.ms(index), stage.bytes});

  say("peak memory");
  result.layer_peak_bytes = peaks_of(layer, inputs);
  if (setting.dense) result.dense_peak_bytes = peaks_of(dense, inputs);
}

void fail_all(CudaResult& result, const std::string& reason) {
  for (PassFigures* figures :
       {&result.layer, &result.inner, &result.dense, &result.layer_peak_bytes, &result.dense_peak_bytes}) {
    if (!figures->forward.value) figures->forward = Figure::none(reason);
    if (!figures->forward_backward.value) figures->forward_backward = Figure::none(reason);
  }
}

}  // namespace

int64_t repeats_at(const BenchmarkSetting& setting, int64_t num_tokens) {
  return num_tokens >= kLongFrom ? std::min(kLongRepeats, setting.repeats) : setting.repeats;
}

std::vector<CudaCase> cuda_cases(const BenchmarkSetting& setting, const Plan& plan, const std::vector<bool>& causal,
                                 const std::vector<Layout>& layouts) {
  if (setting.head_dim % 2 != 0) {
    throw std::invalid_argument("head-dim must be even on CUDA, where rotary embedding is timed too; got " +
                                std::to_string(setting.head_dim));
  }
  std::vector<CudaCase> cases;
  for (const auto& length : plan.lengths) {
    for (const auto& variant : length.variants) {
      for (const bool rule : causal) {
        for (const Layout layout : layouts) cases.push_back({length.num_tokens, variant, rule, layout});
      }
    }
  }
  return cases;
}

CudaResult measure_cuda(const BenchmarkSetting& setting, const CudaCase& where, const Activity& activity) {
  const Activity say = activity ? activity : [](const std::string&) {};
  CudaResult result;
  result.where = where;
  result.repeats = repeats_at(setting, where.num_tokens);
  say("inputs");
  const std::string reason = attempt([&] { measure_into(result, setting, say); });
  if (!reason.empty()) fail_all(result, reason);
  free_cached_memory();
  return result;
}

}  // namespace lighthouse::analysis
