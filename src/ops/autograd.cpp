// Gradients. Gather and scatter are linear, and each one's backward is an operator with the forward as its own
// gradient, so derivatives of any order come out.
//
// Only the tree is kept for backward here (the inner attention keeps what it needs, S-sized).
#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "ops/operators.h"

namespace lighthouse::ops {
namespace {

using at::Tensor;
using c10::SymInt;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

void save_options(AutogradContext* context, const PyramidOptions& options) {
  context->saved_data["num_levels"] = options.num_levels;
  context->saved_data["pooling_factor"] = options.pooling_factor;
  context->saved_data["top_k"] = options.top_k;
  context->saved_data["num_tiles"] = options.num_tiles;
}

PyramidOptions saved_options(AutogradContext* context) {
  auto& data = context->saved_data;
  return {data["num_levels"].toInt(), data["pooling_factor"].toInt(), data["top_k"].toOptional<int64_t>(),
          data["num_tiles"].toOptional<int64_t>()};
}

struct Gather : torch::autograd::Function<Gather> {
  static variable_list forward(AutogradContext* context, const Tensor& query, const Tensor& key, const Tensor& value,
                               const Tensor& nodes, const PyramidOptions& options) {
    at::AutoDispatchBelowADInplaceOrView guard;
    context->save_for_backward({nodes});
    context->saved_data["num_tokens"] = query.sym_size(2);
    save_options(context, options);
    auto [q, k, v] = gather(query, key, value, nodes, options);
    return {q, k, v};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    auto [q, k, v] = gather_backward(grads[0], grads[1], grads[2], context->get_saved_variables()[0],
                                     context->saved_data["num_tokens"].toSymInt(), saved_options(context));
    return {q, k, v, Tensor(), Tensor()};
  }
};

struct GatherBackward : torch::autograd::Function<GatherBackward> {
  static variable_list forward(AutogradContext* context, const Tensor& grad_query, const Tensor& grad_key,
                               const Tensor& grad_value, const Tensor& nodes, SymInt num_tokens,
                               const PyramidOptions& options) {
    at::AutoDispatchBelowADInplaceOrView guard;
    context->save_for_backward({nodes});
    save_options(context, options);
    auto [q, k, v] = gather_backward(grad_query, grad_key, grad_value, nodes, num_tokens, options);
    return {q, k, v};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    auto [q, k, v] = gather(grads[0], grads[1], grads[2], context->get_saved_variables()[0], saved_options(context));
    return {q, k, v, Tensor(), Tensor(), Tensor()};
  }
};

struct Scatter : torch::autograd::Function<Scatter> {
  static Tensor forward(AutogradContext* context, const Tensor& output, const Tensor& nodes, SymInt num_tokens,
                        const PyramidOptions& options) {
    at::AutoDispatchBelowADInplaceOrView guard;
    context->save_for_backward({nodes});
    save_options(context, options);
    return scatter(output, nodes, num_tokens, options);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    return {scatter_backward(grads[0], context->get_saved_variables()[0], saved_options(context)), Tensor(), Tensor(),
            Tensor()};
  }
};

struct ScatterBackward : torch::autograd::Function<ScatterBackward> {
  static Tensor forward(AutogradContext* context, const Tensor& grad_output, const Tensor& nodes,
                        const PyramidOptions& options) {
    at::AutoDispatchBelowADInplaceOrView guard;
    context->save_for_backward({nodes});
    context->saved_data["num_tokens"] = grad_output.sym_size(2);
    save_options(context, options);
    return scatter_backward(grad_output, nodes, options);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    return {scatter(grads[0], context->get_saved_variables()[0], context->saved_data["num_tokens"].toSymInt(),
                    saved_options(context)),
            Tensor(), Tensor()};
  }
};

/// The adjoint of a rotation is the rotation by the opposite angle. The angles get no gradient, nor do scores give one.
struct Rotary : torch::autograd::Function<Rotary> {
  static variable_list forward(AutogradContext* context, const Tensor& query, const Tensor& key, const Tensor& cos,
                               const Tensor& sin, bool inverse) {
    at::AutoDispatchBelowADInplaceOrView guard;
    context->save_for_backward({cos, sin});
    context->saved_data["inverse"] = inverse;
    auto [q, k] = rotary(query, key, cos, sin, inverse);
    return {q, k};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto saved = context->get_saved_variables();
    auto [q, k] = rotary(grads[0], grads[1], saved[0], saved[1], !context->saved_data["inverse"].toBool());
    return {q, k, Tensor(), Tensor(), Tensor()};
  }
};

struct RotaryScore : torch::autograd::Function<RotaryScore> {
  static variable_list forward(AutogradContext* context, const Tensor& query, const Tensor& key, const Tensor& cos,
                               const Tensor& sin, const PyramidOptions& options) {
    at::AutoDispatchBelowADInplaceOrView guard;
    context->save_for_backward({cos, sin});
    auto [q, k, query_scores, key_scores] = rotary_score(query, key, cos, sin, options);
    context->mark_non_differentiable({query_scores, key_scores});
    return {q, k, query_scores, key_scores};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto saved = context->get_saved_variables();
    auto [q, k] = rotary(grads[0], grads[1], saved[0], saved[1], /*inverse=*/true);
    return {q, k, Tensor(), Tensor(), Tensor()};
  }
};

Tensors2 rotary_autograd(const Tensor& query, const Tensor& key, const Tensor& cos, const Tensor& sin, bool inverse) {
  auto out = Rotary::apply(query, key, cos, sin, inverse);
  return {out[0], out[1]};
}

Tensors4 rotary_score_autograd(const Tensor& query, const Tensor& key, const Tensor& cos, const Tensor& sin,
                               int64_t num_levels, int64_t pooling_factor, std::optional<int64_t> top_k,
                               std::optional<int64_t> num_tiles) {
  auto out = RotaryScore::apply(query, key, cos, sin, PyramidOptions{num_levels, pooling_factor, top_k, num_tiles});
  return {out[0], out[1], out[2], out[3]};
}

Tensors3 gather_autograd(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& nodes,
                         int64_t num_levels, int64_t pooling_factor, std::optional<int64_t> top_k,
                         std::optional<int64_t> num_tiles) {
  auto out = Gather::apply(query, key, value, nodes, PyramidOptions{num_levels, pooling_factor, top_k, num_tiles});
  return {out[0], out[1], out[2]};
}

Tensors3 gather_backward_autograd(const Tensor& grad_query, const Tensor& grad_key, const Tensor& grad_value,
                                  const Tensor& nodes, SymInt num_tokens, int64_t num_levels, int64_t pooling_factor,
                                  std::optional<int64_t> top_k, std::optional<int64_t> num_tiles) {
  auto out = GatherBackward::apply(grad_query, grad_key, grad_value, nodes, num_tokens,
                                   PyramidOptions{num_levels, pooling_factor, top_k, num_tiles});
  return {out[0], out[1], out[2]};
}

Tensor scatter_autograd(const Tensor& output, const Tensor& nodes, SymInt num_tokens, int64_t num_levels,
                        int64_t pooling_factor, std::optional<int64_t> top_k, std::optional<int64_t> num_tiles) {
  return Scatter::apply(output, nodes, num_tokens, PyramidOptions{num_levels, pooling_factor, top_k, num_tiles});
}

Tensor scatter_backward_autograd(const Tensor& grad_output, const Tensor& nodes, int64_t num_levels,
                                 int64_t pooling_factor, std::optional<int64_t> top_k,
                                 std::optional<int64_t> num_tiles) {
  return ScatterBackward::apply(grad_output, nodes, PyramidOptions{num_levels, pooling_factor, top_k, num_tiles});
}

}  // namespace
}  // namespace lighthouse::ops

TORCH_LIBRARY_IMPL(lighthouse, Autograd, m) {
  m.impl("rotary", &lighthouse::ops::rotary_autograd);
  m.impl("rotary_score", &lighthouse::ops::rotary_score_autograd);
  m.impl("gather", &lighthouse::ops::gather_autograd);
  m.impl("gather_backward", &lighthouse::ops::gather_backward_autograd);
  m.impl("scatter", &lighthouse::ops::scatter_autograd);
  m.impl("scatter_backward", &lighthouse::ops::scatter_backward_autograd);
}
