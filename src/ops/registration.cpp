// Schemas, and the typed way to them for our own C++. Hyperparameters are plain ints, which torch.compile specialises
// on; the number of tokens is a SymInt, which it does not.
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include "ops/operators.h"

#define LIGHTHOUSE_PYRAMID_SCHEMA "int num_levels, int pooling_factor, int? top_k, int? num_tiles"

TORCH_LIBRARY(lighthouse, m) {
  m.def("select(Tensor query, Tensor key, Tensor? query_scores, Tensor? key_scores, " LIGHTHOUSE_PYRAMID_SCHEMA
        ", bool cover_prefix, bool causal_selection) -> Tensor");
  m.def("select_windows(Tensor query_scores, Tensor key_scores, SymInt num_tokens, " LIGHTHOUSE_PYRAMID_SCHEMA
        ", bool cover_prefix, bool causal_selection) -> Tensor");
  m.def("rotary(Tensor query, Tensor key, Tensor cos, Tensor sin, bool inverse) -> (Tensor, Tensor)");
  m.def("rotary_score(Tensor query, Tensor key, Tensor cos, Tensor sin, " LIGHTHOUSE_PYRAMID_SCHEMA
        ") -> (Tensor, Tensor, Tensor, Tensor)");
  m.def("gather(Tensor query, Tensor key, Tensor value, Tensor nodes, " LIGHTHOUSE_PYRAMID_SCHEMA
        ") -> (Tensor, Tensor, Tensor)");
  m.def(
      "gather_backward(Tensor grad_query, Tensor grad_key, Tensor grad_value, Tensor nodes, SymInt "
      "num_tokens, " LIGHTHOUSE_PYRAMID_SCHEMA ") -> (Tensor, Tensor, Tensor)");
  m.def("scatter(Tensor output, Tensor nodes, SymInt num_tokens, " LIGHTHOUSE_PYRAMID_SCHEMA ") -> Tensor");
  m.def("scatter_backward(Tensor grad_output, Tensor nodes, " LIGHTHOUSE_PYRAMID_SCHEMA ") -> Tensor");
  m.def("entries(Tensor nodes, SymInt num_tokens, " LIGHTHOUSE_PYRAMID_SCHEMA ") -> Tensor");
  m.def("writes(Tensor nodes, SymInt num_tokens, " LIGHTHOUSE_PYRAMID_SCHEMA ") -> Tensor");
  m.def(
      "attention(Tensor query, Tensor key, Tensor value, Tensor? query_scores, Tensor? "
      "key_scores, bool window_scores, " LIGHTHOUSE_PYRAMID_SCHEMA
      ", bool cover_prefix, bool causal_selection, float? scale, str? inner=None) -> Tensor");
  m.def("dense_attention(Tensor query, Tensor key, Tensor value, float? scale, str? inner=None) -> Tensor");
  m.def("retained_length(SymInt num_tokens, " LIGHTHOUSE_PYRAMID_SCHEMA ") -> SymInt");
  m.def("warn_dense(SymInt num_tokens, " LIGHTHOUSE_PYRAMID_SCHEMA ") -> ()");
  m.def("top_k(SymInt num_tokens, " LIGHTHOUSE_PYRAMID_SCHEMA ") -> SymInt");
  m.def("num_tiles(SymInt num_tokens, " LIGHTHOUSE_PYRAMID_SCHEMA ") -> SymInt");
}

namespace lighthouse::ops {
namespace {

using at::Tensor;
using c10::SymInt;
using Count = std::optional<int64_t>;  // absent: by the number of tokens

template <typename Signature>
c10::TypedOperatorHandle<Signature> find(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

}  // namespace

Tensor select(const Tensor& query, const Tensor& key, const std::optional<Scores>& scores,
              const SelectionOptions& options) {
  static const auto op =
      find<Tensor(const Tensor&, const Tensor&, const std::optional<Tensor>&, const std::optional<Tensor>&, int64_t,
                  int64_t, Count, Count, bool, bool)>("lighthouse::select");
  std::optional<Tensor> query_scores;
  std::optional<Tensor> key_scores;
  if (scores) {
    query_scores = scores->query;
    key_scores = scores->key;
  }
  return op.call(query, key, query_scores, key_scores, options.num_levels, options.pooling_factor, options.top_k,
                 options.num_tiles, options.cover_prefix, options.causal_selection);
}

Tensor select_windows(const WindowScores& scores, const SymInt& num_tokens, const SelectionOptions& options) {
  static const auto op = find<Tensor(const Tensor&, const Tensor&, SymInt, int64_t, int64_t, Count, Count, bool, bool)>(
      "lighthouse::select_windows");
  return op.call(scores.query, scores.key, num_tokens, options.num_levels, options.pooling_factor, options.top_k,
                 options.num_tiles, options.cover_prefix, options.causal_selection);
}

Tensors2 rotary(const Tensor& query, const Tensor& key, const Tensor& cos, const Tensor& sin, bool inverse) {
  static const auto op =
      find<Tensors2(const Tensor&, const Tensor&, const Tensor&, const Tensor&, bool)>("lighthouse::rotary");
  return op.call(query, key, cos, sin, inverse);
}

Tensors4 rotary_score(const Tensor& query, const Tensor& key, const Tensor& cos, const Tensor& sin,
                      const PyramidOptions& options) {
  static const auto op =
      find<Tensors4(const Tensor&, const Tensor&, const Tensor&, const Tensor&, int64_t, int64_t, Count, Count)>(
          "lighthouse::rotary_score");
  return op.call(query, key, cos, sin, options.num_levels, options.pooling_factor, options.top_k, options.num_tiles);
}

Tensors3 gather(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& nodes,
                const PyramidOptions& options) {
  static const auto op =
      find<Tensors3(const Tensor&, const Tensor&, const Tensor&, const Tensor&, int64_t, int64_t, Count, Count)>(
          "lighthouse::gather");
  return op.call(query, key, value, nodes, options.num_levels, options.pooling_factor, options.top_k,
                 options.num_tiles);
}

Tensors3 gather_backward(const Tensor& grad_query, const Tensor& grad_key, const Tensor& grad_value,
                         const Tensor& nodes, const SymInt& num_tokens, const PyramidOptions& options) {
  static const auto op = find<Tensors3(const Tensor&, const Tensor&, const Tensor&, const Tensor&, SymInt, int64_t,
                                       int64_t, Count, Count)>("lighthouse::gather_backward");
  return op.call(grad_query, grad_key, grad_value, nodes, num_tokens, options.num_levels, options.pooling_factor,
                 options.top_k, options.num_tiles);
}

Tensor scatter(const Tensor& output, const Tensor& nodes, const SymInt& num_tokens, const PyramidOptions& options) {
  static const auto op =
      find<Tensor(const Tensor&, const Tensor&, SymInt, int64_t, int64_t, Count, Count)>("lighthouse::scatter");
  return op.call(output, nodes, num_tokens, options.num_levels, options.pooling_factor, options.top_k,
                 options.num_tiles);
}

Tensor scatter_backward(const Tensor& grad_output, const Tensor& nodes, const PyramidOptions& options) {
  static const auto op =
      find<Tensor(const Tensor&, const Tensor&, int64_t, int64_t, Count, Count)>("lighthouse::scatter_backward");
  return op.call(grad_output, nodes, options.num_levels, options.pooling_factor, options.top_k, options.num_tiles);
}

Tensor entries(const Tensor& nodes, const SymInt& num_tokens, const PyramidOptions& options) {
  static const auto op = find<Tensor(const Tensor&, SymInt, int64_t, int64_t, Count, Count)>("lighthouse::entries");
  return op.call(nodes, num_tokens, options.num_levels, options.pooling_factor, options.top_k, options.num_tiles);
}

Tensor writes(const Tensor& nodes, const SymInt& num_tokens, const PyramidOptions& options) {
  static const auto op = find<Tensor(const Tensor&, SymInt, int64_t, int64_t, Count, Count)>("lighthouse::writes");
  return op.call(nodes, num_tokens, options.num_levels, options.pooling_factor, options.top_k, options.num_tiles);
}

}  // namespace lighthouse::ops
