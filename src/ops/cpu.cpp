// The CPU back end's side of the operators: checks, output allocation, parameters, torch's threads.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <vector>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/memory.h"
#include "kernels/node.h"
#include "kernels/pyramid.h"
#include "ops/checks.h"
#include "ops/kernel_arguments.h"
#include "ops/operators.h"
#include "ops/window_operators.h"

namespace lighthouse::ops {
namespace {

using at::Tensor;

const kernels::ParallelFor& torch_threads() {
  static const kernels::ParallelFor parallel_for = [](int64_t count, int64_t grain, const kernels::ParallelBody& body) {
    at::parallel_for(0, count, grain, body);
  };
  return parallel_for;
}

Tensor empty_rows(const Tensor& like, int64_t rows) {
  Tensor out = at::empty({like.size(0), like.size(1), rows, like.size(3)}, like.options());
  kernels::cpu::advise_huge_pages(out.mutable_data_ptr(), out.nbytes());
  return out;
}

Tensor pooled_scores(const Geometry& geometry, const Tensor& token_scores) {
  const Tensor tokens = token_scores.to(at::kFloat);
  Tensor windows = at::empty({tokens.size(0), tokens.size(1), geometry.num_scored_windows()}, tokens.options());
  kernels::cpu::pool_scores(pool_scores_parameters(geometry, tokens, windows), torch_threads());
  return windows;
}

WindowScores norm_scores(const char* op, const Geometry& geometry, const Tensor& query_in, const Tensor& key_in) {
  const Tensor query = with_contiguous_rows(query_in);
  const Tensor key = with_contiguous_rows(key_in);
  WindowScores scores = empty_scores(geometry, key);
  kernels::cpu::score(score_parameters(op, geometry, query, key, scores), torch_threads());
  return scores;
}

Tensor select_by(const WindowScores& scores, const Geometry& geometry, bool cover_prefix, bool causal_selection) {
  Tensor nodes = at::empty(scores.key.sizes(), scores.key.options().dtype(at::kInt));
  const auto parameters = select_parameters(geometry, scores, nodes, cover_prefix, causal_selection);
  kernels::cpu::select(parameters, geometry, torch_threads());
  return nodes;
}

Tensor select_cpu(const Tensor& query, const Tensor& key, const std::optional<Tensor>& query_scores,
                  const std::optional<Tensor>& key_scores, int64_t num_levels, int64_t pooling_factor,
                  std::optional<int64_t> top_k, std::optional<int64_t> num_tiles, bool cover_prefix,
                  bool causal_selection) {
  constexpr const char* kOp = "lighthouse::select";
  check_heads(kOp, "N", query, key, std::nullopt);
  check_selection(kOp, key, query_scores, key_scores, cover_prefix, causal_selection);
  const Geometry geometry = make_tree_geometry(kOp, query.size(2), {num_levels, pooling_factor, top_k, num_tiles});
  const WindowScores scores =
      query_scores ? WindowScores{pooled_scores(geometry, *query_scores), pooled_scores(geometry, *key_scores)}
                   : norm_scores(kOp, geometry, query, key);
  return select_by(scores, geometry, cover_prefix, causal_selection);
}

Tensor select_windows_cpu(const Tensor& query_scores, const Tensor& key_scores, int64_t num_tokens, int64_t num_levels,
                          int64_t pooling_factor, std::optional<int64_t> top_k, std::optional<int64_t> num_tiles,
                          bool cover_prefix, bool causal_selection) {
  constexpr const char* kOp = "lighthouse::select_windows";
  const PyramidOptions options{num_levels, pooling_factor, top_k, num_tiles};
  check_window_scores(kOp, query_scores, key_scores, num_tokens, options, cover_prefix, causal_selection);
  const Geometry geometry = make_tree_geometry(kOp, num_tokens, options);
  return select_by({query_scores.contiguous(), key_scores.contiguous()}, geometry, cover_prefix, causal_selection);
}

/// By torch's own operators, which are as fast as memory allows on a CPU.
Tensor rotated(const Tensor& x, const Tensor& cos, const Tensor& sin) {
  const auto type = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const auto halves = x.to(type).chunk(2, -1);
  const Tensor first = halves[0] * cos - halves[1] * sin;
  const Tensor second = halves[1] * cos + halves[0] * sin;
  Tensor out = empty_rotated(x);
  out.slice(-1, 0, x.size(-1) / 2).copy_(first);
  out.slice(-1, x.size(-1) / 2).copy_(second);
  return out;
}

Tensors2 rotary_cpu(const Tensor& query, const Tensor& key, const Tensor& cos, const Tensor& sin_in, bool inverse) {
  constexpr const char* kOp = "lighthouse::rotary";
  check_heads(kOp, "N", query, key, std::nullopt);
  check_angles(kOp, query, cos, sin_in);
  const Tensor sin = inverse ? -sin_in : sin_in;
  return {rotated(query, cos, sin), rotated(key, cos, sin)};
}

Tensors4 rotary_score_cpu(const Tensor& query, const Tensor& key, const Tensor& cos, const Tensor& sin,
                          int64_t num_levels, int64_t pooling_factor, std::optional<int64_t> top_k,
                          std::optional<int64_t> num_tiles) {
  constexpr const char* kOp = "lighthouse::rotary_score";
  check_heads(kOp, "N", query, key, std::nullopt);
  check_angles(kOp, query, cos, sin);
  const Geometry geometry = make_tree_geometry(kOp, query.size(2), {num_levels, pooling_factor, top_k, num_tiles});
  const Tensor rotated_query = rotated(query, cos, sin);
  const Tensor rotated_key = rotated(key, cos, sin);
  const WindowScores scores = norm_scores(kOp, geometry, rotated_query, rotated_key);
  return {rotated_query, rotated_key, scores.query, scores.key};
}

struct Cpu {
  static Geometry geometry(const char* op, int64_t num_tokens, const PyramidOptions& options) {
    return make_tree_geometry(op, num_tokens, options);
  }

  /// Nodes of another tree have other ranks, which would lead outside what is allocated by these sizes, or leave rows
  /// unwritten. Each tile's last window has its highest rank, which depends on the sizes alone; then all are looked at,
  /// which is a hundredth of the rows' work.
  static void check_tree(const char* op, const Tensor& nodes_in, const Geometry& geometry) {
    const Tensor nodes = nodes_in.contiguous();
    if (geometry.num_levels() == 1 || geometry.num_coarsest_windows() == 0) return;
    const int64_t roots = geometry.level_offset(geometry.num_levels() - 1) - geometry.num_tokens();
    const auto words = nodes.accessor<const int32_t, 3>();
    for (int64_t batch = 0; batch < words.size(0); ++batch) {
      for (int64_t head = 0; head < words.size(1); ++head) {
        for (int64_t tile = 0; tile < geometry.num_tiles(); ++tile) {
          const int64_t root = roots + geometry.tile_begin(tile + 1) - 1;
          const int64_t rank = words[batch][head][root] >> kernels::kRankShift;
          TORCH_CHECK_VALUE(rank == geometry.tile_rank(tile + 1) - 1, op,
                            ": the tree's nodes must be those of these sizes, ", geometry.to_string(),
                            "; got nodes of another selection: tile ", tile, " of them ends at entry ", rank + 1,
                            ", not ", geometry.tile_rank(tile + 1));
        }
      }
    }
    const kernels::Pyramid pyramid = kernels::to_pyramid(geometry);
    const auto* const first = nodes.const_data_ptr<int32_t>();
    torch_threads()(
        nodes.size(0) * nodes.size(1), 1 + 65536 / (pyramid.num_nodes + 1), [&](int64_t begin, int64_t end) {
          for (int64_t tree = begin; tree < end; ++tree) {
            const auto fault = kernels::cpu::find_tree_fault(pyramid, first + tree * pyramid.num_nodes);
            TORCH_CHECK_VALUE(
                !fault, op, ": the tree's nodes must be those of pooling_factor=", geometry.pooling_factor(),
                "; got nodes of another selection: window ", fault->window, " of level ", fault->level, " is entry ",
                fault->rank, " of them, not ", fault->expected_rank, " (-1: not retained), for ", geometry.to_string());
          }
        });
  }

  static std::vector<Tensor> move(const char* op, Direction direction, kernels::Span span,
                                  const std::vector<Tensor>& inputs, const Tensor& nodes_in, const Geometry& geometry) {
    const Tensor nodes = nodes_in.contiguous();
    const bool reduce = direction == Direction::kReduce;
    std::vector<Tensor> outputs;
    for (const Tensor& input : inputs) {
      const Tensor from = with_contiguous_rows(input);
      const Tensor to = empty_rows(from, reduce ? geometry.retained_length() : geometry.num_tokens());
      outputs.push_back(to);
      if (to.numel() == 0) continue;
      kernels::WindowParameters parameters = window_parameters(op, geometry, span, from, nodes);
      parameters.heads = from.size(1);
      parameters.tokens = rows_of(reduce ? from : to);
      parameters.retained = rows_of(reduce ? to : from);
      if (reduce) {
        kernels::cpu::window_reduce(parameters, torch_threads());
      } else {
        kernels::cpu::window_broadcast(parameters, torch_threads());
      }
    }
    return outputs;
  }

  static void list(const char*, const Tensor&, const kernels::ListParameters& parameters) {
    kernels::cpu::list_entries(parameters, torch_threads());
  }
};

}  // namespace
}  // namespace lighthouse::ops

TORCH_LIBRARY_IMPL(lighthouse, CPU, m) {
  m.impl("select", &lighthouse::ops::select_cpu);
  m.impl("select_windows", &lighthouse::ops::select_windows_cpu);
  m.impl("rotary", &lighthouse::ops::rotary_cpu);
  m.impl("rotary_score", &lighthouse::ops::rotary_score_cpu);
  lighthouse::ops::WindowOperators<lighthouse::ops::Cpu>::register_in(m);
}
