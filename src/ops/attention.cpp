// The layer and its stages as C++ functions: select, gather, the inner attention, scatter.
#include "lighthouse/attention.h"

#include <c10/util/Exception.h>
#include <torch/library.h>

#include <array>
#include <cmath>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "lighthouse/rotary.h"
#include "ops/checks.h"
#include "ops/operators.h"
#include "ops/retained_length.h"

namespace lighthouse {
namespace {

using at::Tensor;
using c10::SymInt;

constexpr const char* kOp = "lighthouse::attention";

/// The geometry's options, its number of tiles spelled out.
PyramidOptions options_of(const Geometry& geometry) {
  return {geometry.num_levels(), geometry.pooling_factor(), geometry.top_k(), geometry.num_tiles()};
}

/// What would be retained. Of an N that compiled code keeps open there is no number.
std::string dense_message(const SymInt& num_tokens, const PyramidOptions& options) {
  const auto known = num_tokens.maybe_as_int();
  const std::string retained = known
                                   ? c10::str(ops::retained_length(kOp, num_tokens, options), " of ", *known, " tokens")
                                   : "at the lengths that code is compiled for now, all N of N tokens or more";
  const std::string top_k = known           ? c10::str(ops::top_k(kOp, num_tokens, options))
                            : options.top_k ? c10::str(*options.top_k)
                                            : "about N/64";
  return c10::str(kOp, ": ", retained, " would be retained (num_levels=", options.num_levels,
                  ", pooling_factor=", options.pooling_factor, ", top_k=", top_k,
                  "), so dense attention runs instead. A longer sequence or a smaller top_k would gain.");
}

/// Once for each N and options; of the same options for some lengths only, where batches are of ever new ones.
void warn_dense(const SymInt& num_tokens, const PyramidOptions& options) {
  if (options.num_levels == 1) return;  // that is how to ask for dense attention
  const auto known = num_tokens.maybe_as_int();
  if (known == 0) return;
  constexpr size_t kMostLengths = 8;
  constexpr int64_t kOpen = -1;  // stands for every N of compiled code
  static std::mutex mutex;
  static std::map<std::array<int64_t, 4>, std::set<int64_t>> lengths_of_options;
  std::string last;
  {
    const std::scoped_lock lock(mutex);
    auto& lengths = lengths_of_options[{options.num_levels, options.pooling_factor, options.top_k.value_or(0),
                                        options.num_tiles.value_or(0)}];
    if (lengths.size() >= kMostLengths || !lengths.insert(known.value_or(kOpen)).second) return;
    if (lengths.size() == kMostLengths) last = " Other lengths with these options are not reported any more.";
  }
  TORCH_WARN(dense_message(num_tokens, options), last);
}

}  // namespace

Tensor Tree::entries() const { return ops::entries(nodes, geometry.num_tokens(), options_of(geometry)); }

Tensor Tree::writes() const { return ops::writes(nodes, geometry.num_tokens(), options_of(geometry)); }

Tree select(const Tensor& query, const Tensor& key, const SelectionOptions& options,
            const std::optional<Scores>& scores) {
  Tensor nodes = ops::select(query, key, scores, options);
  return {nodes, ops::make_tree_geometry("lighthouse::select", query.size(2), options)};
}

Tree select(const WindowScores& scores, int64_t num_tokens, const SelectionOptions& options) {
  Tensor nodes = ops::select_windows(scores, num_tokens, options);
  return {nodes, ops::make_tree_geometry("lighthouse::select_windows", num_tokens, options)};
}

std::pair<Tensor, Tensor> rotary(const Tensor& query, const Tensor& key, const Tensor& cos, const Tensor& sin) {
  auto [q, k] = ops::rotary(query, key, cos, sin, /*inverse=*/false);
  return {q, k};
}

Rotated rotary_score(const Tensor& query, const Tensor& key, const Tensor& cos, const Tensor& sin,
                     const PyramidOptions& options) {
  auto [q, k, query_scores, key_scores] = ops::rotary_score(query, key, cos, sin, options);
  return {q, k, {query_scores, key_scores}};
}

Gathered gather(const Tensor& query, const Tensor& key, const Tensor& value, const Tree& tree) {
  constexpr const char* kGather = "lighthouse::gather";
  ops::check_heads(kGather, "N", query, key, value);
  TORCH_CHECK_VALUE(query.size(2) == tree.geometry.num_tokens(), kGather,
                    ": the tree is of N=", tree.geometry.num_tokens(), " tokens; got query ", query.sizes());
  auto [q, k, v] = ops::gather(query, key, value, tree.nodes, options_of(tree.geometry));
  return {q, k, v};
}

Tensor scatter(const Tensor& output, const Tree& tree) {
  return ops::scatter(output, tree.nodes, tree.geometry.num_tokens(), options_of(tree.geometry));
}

Tensor attention(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionOptions& options) {
  ops::check_heads(kOp, "N", query, key, value);
  using OptionalTensor = std::optional<Tensor>;
  ops::check_selection(kOp, key, options.scores ? OptionalTensor(options.scores->query) : std::nullopt,
                       options.scores ? OptionalTensor(options.scores->key) : std::nullopt, options.cover_prefix,
                       options.causal_selection);
  TORCH_CHECK_VALUE(!options.inner || options.inner_kernel == InnerKernel::kAuto, kOp,
                    ": expected an inner attention or the name of a kernel, not both; got both, and the kernel ",
                    name_of(options.inner_kernel));
  if (options.window_scores) {
    TORCH_CHECK_VALUE(!options.scores, kOp, ": expected scores of tokens or of windows, not both; got both");
    ops::check_window_scores(kOp, options.window_scores->query, options.window_scores->key, query.sym_size(2), options,
                             options.cover_prefix, options.causal_selection);
    const Tensor& scores = options.window_scores->key;
    TORCH_CHECK_VALUE(scores.sym_size(0) == key.sym_size(0) && scores.sym_size(1) == key.sym_size(1) &&
                          scores.device() == key.device(),
                      kOp, ": the windows' scores must be of the inputs' B=", key.sym_size(0), ", K=", key.sym_size(1),
                      " on ", key.device(), "; got B=", scores.sym_size(0), ", K=", scores.sym_size(1), " on ",
                      scores.device());
  }
  // sym_size: size() of a fake tensor reads, and so fixes, all of its sizes, N among them.
  const double scale = options.scale
                           ? *options.scale
                           : 1.0 / std::sqrt(static_cast<double>(query.sym_size(3).guard_int(__FILE__, __LINE__)));
  TORCH_CHECK_VALUE(std::isfinite(scale) && scale > 0, kOp, ": scale must be a finite number above 0; got ", scale);
  const auto inner = [&](const Tensor& q, const Tensor& k, const Tensor& v) {
    if (!options.inner) return dense_attention(q, k, v, scale, options.inner_kernel);
    Tensor output = options.inner(q, k, v, scale);
    ops::check_inner_output(kOp, output, q);
    return output;
  };
  const SymInt num_tokens = query.sym_size(2);
  const SymInt retained = ops::retained_length(kOp, num_tokens, options);
  if (retained >= num_tokens) {
    warn_dense(num_tokens, options);
    return inner(query, key, value);
  }
  const Tensor nodes = options.window_scores ? ops::select_windows(*options.window_scores, num_tokens, options)
                                             : ops::select(query, key, options.scores, options);
  const auto attend = [&] {
    const auto [q, k, v] = ops::gather(query, key, value, nodes, options);
    return inner(q, k, v);  // the gathered rows are gone, where no gradient keeps them, before the output is made
  };
  return ops::scatter(attend(), nodes, num_tokens, options);
}

namespace {

Tensor attention_operator(const Tensor& query, const Tensor& key, const Tensor& value,
                          const std::optional<Tensor>& query_scores, const std::optional<Tensor>& key_scores,
                          bool window_scores, int64_t num_levels, int64_t pooling_factor, std::optional<int64_t> top_k,
                          std::optional<int64_t> num_tiles, bool cover_prefix, bool causal_selection,
                          std::optional<double> scale, std::optional<std::string_view> inner) {
  TORCH_CHECK_VALUE(query_scores.has_value() == key_scores.has_value(), kOp,
                    ": expected both scores or neither; got one");
  AttentionOptions options;
  static_cast<PyramidOptions&>(options) = {num_levels, pooling_factor, top_k, num_tiles};
  options.cover_prefix = cover_prefix;
  options.causal_selection = causal_selection;
  options.scale = scale;
  if (inner) options.inner_kernel = inner_kernel_named(std::string(*inner));
  if (query_scores && window_scores) options.window_scores = WindowScores{*query_scores, *key_scores};
  if (query_scores && !window_scores) options.scores = Scores{*query_scores, *key_scores};
  return attention(query, key, value, options);
}

SymInt retained_length_operator(SymInt num_tokens, int64_t num_levels, int64_t pooling_factor,
                                std::optional<int64_t> top_k, std::optional<int64_t> num_tiles) {
  return ops::retained_length("lighthouse", num_tokens, {num_levels, pooling_factor, top_k, num_tiles});
}

/// For attention in stages, in compiled code: elsewhere Python warns by itself.
void warn_dense_operator(SymInt num_tokens, int64_t num_levels, int64_t pooling_factor, std::optional<int64_t> top_k,
                         std::optional<int64_t> num_tiles) {
  warn_dense(num_tokens, {num_levels, pooling_factor, top_k, num_tiles});
}

SymInt top_k_operator(SymInt num_tokens, int64_t num_levels, int64_t pooling_factor, std::optional<int64_t> top_k,
                      std::optional<int64_t> num_tiles) {
  return ops::top_k("lighthouse", num_tokens, {num_levels, pooling_factor, top_k, num_tiles});
}

SymInt num_tiles_operator(SymInt num_tokens, int64_t num_levels, int64_t pooling_factor, std::optional<int64_t> top_k,
                          std::optional<int64_t> num_tiles) {
  return ops::num_tiles("lighthouse", num_tokens, {num_levels, pooling_factor, top_k, num_tiles});
}

}  // namespace
}  // namespace lighthouse

TORCH_LIBRARY_IMPL(lighthouse, CompositeImplicitAutograd, m) {
  m.impl("attention", &lighthouse::attention_operator);
  m.impl("retained_length", &lighthouse::retained_length_operator);
  m.impl("warn_dense", &lighthouse::warn_dense_operator);
  m.impl("top_k", &lighthouse::top_k_operator);
  m.impl("num_tiles", &lighthouse::num_tiles_operator);
}
