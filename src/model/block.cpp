#include "model/block.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

#include "model/parts.h"
#include "model/products.h"
#include "ops/checks.h"
#include "ops/fused.h"

namespace lighthouse::model {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Sizes {
  int64_t batch = 0;
  int64_t tokens = 0;
  int64_t hidden = 0;
  int64_t intermediate = 0;
  int64_t rows() const { return batch * tokens; }
};

/// What attention keeps: the inner call's graph, from its inputs to its output.
struct AttentionState {
  Gathered inputs;           // of the inner call: gathered rows, or whole heads
  Tensor output;             // of the inner call, [B, H, S or N, D]
  std::optional<Tree> tree;  // none: dense
};

/// What a block's backward pass starts from; what is undefined is computed again.
struct BlockState : torch::CustomClassHolder {
  Sizes sizes;
  BlockSettings settings;
  BlockWeights weights;
  Tensor x;        // [rows, C]
  Tensor sum;      // [rows, C], after attention
  Tensor gate_up;  // [rows, 2 F]
  AttentionState attention;
};

double bytes_of(const Tensor& tensor) { return static_cast<double>(tensor.nbytes()); }

/// Heads of a packed projection [rows, (H + 2 K) D].
Gathered heads_of(const Tensor& packed, const Sizes& sizes, const BlockSettings& s) {
  const Tensor heads = packed.view({sizes.batch, sizes.tokens, s.num_heads + 2 * s.num_kv_heads, s.head_dim});
  const auto take = [&](int64_t first, int64_t count) { return heads.narrow(2, first, count).transpose(1, 2); };
  return {take(0, s.num_heads), take(s.num_heads, s.num_kv_heads), take(s.num_heads + s.num_kv_heads, s.num_kv_heads)};
}

double attention_flops(const BlockSettings& s, int64_t batch, int64_t length) {
  const auto n = static_cast<double>(length);
  return 2.0 * static_cast<double>(batch * s.num_heads * s.head_dim) * n * n;
}

Tensor packed_projections(const BlockWeights& w, torch::ScalarType type) {
  return pack({w.query, w.key, w.value}, type);
}

/// Runs the inner call, with a graph where `keep`, and remembers it.
AttentionState run_inner(Gathered inputs, const BlockSettings& s, bool keep) {
  AttentionState state;
  for (Tensor* input : {&inputs.query, &inputs.key, &inputs.value}) *input = input->detach().requires_grad_(keep);
  const PartScope scope("attention", {attention_flops(s, inputs.query.size(0), inputs.query.size(2)), 0});
  const torch::AutoGradMode grad_mode(keep);
  const double scale =
      s.options != nullptr && s.options->scale ? *s.options->scale : 1.0 / std::sqrt(static_cast<double>(s.head_dim));
  if (s.options != nullptr && s.options->inner) {
    state.output = s.options->inner(inputs.query, inputs.key, inputs.value, scale);
    ops::check_inner_output("lighthouse::attention", state.output, inputs.query);
    TORCH_CHECK_VALUE(!keep || state.output.requires_grad(),
                      "lighthouse::attention: the inner attention must return what depends on its inputs, for their "
                      "gradients; got a tensor without a graph");
  } else {
    state.output = dense_attention(inputs.query, inputs.key, inputs.value, scale, s.inner_kernel);
  }
  if (keep) state.inputs = std::move(inputs);
  return state;
}

/// The output of attention as rows [rows, H D].
Tensor attended_rows(const AttentionState& state, const Sizes& sizes, const BlockSettings& s) {
  const int64_t columns = s.num_heads * s.head_dim;
  const Tensor output = state.output.detach();
  if (!state.tree) return output.transpose(1, 2).reshape({sizes.rows(), columns});
  Tensor rows = torch::empty({sizes.rows(), columns}, output.options());
  const PartScope scope("scatter", {0, bytes_of(output) + bytes_of(rows)});
  const Tensor heads = rows.view({sizes.batch, sizes.tokens, s.num_heads, s.head_dim}).transpose(1, 2);
  ops::scatter_into(output, *state.tree, heads);
  return rows;
}

Tensor project(const Tensor& normal, const BlockWeights& weights) {
  const Tensor packed = packed_projections(weights, normal.scalar_type());
  const PartScope scope("q, k, v", {product_flops(normal.size(0), normal.size(1), packed.size(0)), 0});
  return product(normal, packed);
}

/// Takes the projections: they are rotated in place, and gone on return where they were gathered.
AttentionState attend(Tensor projections, const Sizes& sizes, const BlockSettings& s, bool keep) {
  Gathered heads = heads_of(projections, sizes, s);
  const double rotated_bytes = 2 * (bytes_of(heads.query) + bytes_of(heads.key));
  const bool gathers = s.options != nullptr && !Geometry(sizes.tokens, *s.options).is_dense();
  if (!gathers) {
    {
      const PartScope scope("rotary", {0, rotated_bytes});
      ops::rotate_into(heads.query, heads.key, s.table.cos, s.table.sin, /*inverse=*/false, heads.query, heads.key);
    }
    if (s.observer) s.observer(heads.query, heads.key);
    return run_inner(heads, s, keep);
  }
  std::optional<Tree> tree;
  {
    const PartScope scope("rotary", {0, rotated_bytes});
    if (s.options->scores) {
      ops::rotate_into(heads.query, heads.key, s.table.cos, s.table.sin, /*inverse=*/false, heads.query, heads.key);
      tree = select(heads.query, heads.key, *s.options, s.options->scores);
    } else {
      const WindowScores scores = ops::rotate_and_score_into(heads.query, heads.key, s.table.cos, s.table.sin,
                                                             *s.options, heads.query, heads.key);
      tree = select(scores, sizes.tokens, *s.options);
    }
  }
  if (s.observer) s.observer(heads.query, heads.key);
  Gathered gathered;
  {
    const double retained = static_cast<double>(tree->geometry.retained_length()) / static_cast<double>(sizes.tokens);
    const PartScope scope("gather", {0, (1 + retained) * bytes_of(projections)});
    gathered = gather(heads.query, heads.key, heads.value, *tree);
  }
  heads = {};
  projections = Tensor();
  AttentionState state = run_inner(std::move(gathered), s, keep);
  state.tree = std::move(tree);
  return state;
}

/// The gradient of the projections [rows, (H + 2 K) D], from attention's output's [rows, H D].
Tensor attend_backward(AttentionState state, const Tensor& grad, const Sizes& sizes, const BlockSettings& s) {
  Tensor grad_output = grad.view({sizes.batch, sizes.tokens, s.num_heads, s.head_dim}).transpose(1, 2);
  if (state.tree) {
    const PartScope scope("scatter", {0, bytes_of(grad_output) + bytes_of(state.output)});
    grad_output = ops::scatter_adjoint(grad_output, *state.tree);
  }
  Gathered grads;
  {
    const PartScope scope("attention", {2.5 * attention_flops(s, sizes.batch, state.output.size(2)), 0});
    const auto found = torch::autograd::grad({state.output}, {state.inputs.query, state.inputs.key, state.inputs.value},
                                             {grad_output}, /*retain_graph=*/false, /*create_graph=*/false,
                                             /*allow_unused=*/true);
    // An inner attention of the caller's need not use all of them.
    const auto or_zeros = [](const Tensor& grad, const Tensor& of) {
      return grad.defined() ? grad : torch::zeros_like(of);
    };
    grads = {or_zeros(found[0], state.inputs.query), or_zeros(found[1], state.inputs.key),
             or_zeros(found[2], state.inputs.value)};
  }
  const std::optional<Tree> tree = std::move(state.tree);
  state = {};
  Tensor packed = torch::empty({sizes.rows(), (s.num_heads + 2 * s.num_kv_heads) * s.head_dim}, grad.options());
  const Gathered to = heads_of(packed, sizes, s);
  if (tree) {
    const PartScope scope("gather", {0, bytes_of(packed) + bytes_of(grads.query) + 2 * bytes_of(grads.key)});
    ops::gather_adjoint_into(grads, *tree, to.query, to.key, to.value);
    grads = {to.query, to.key, to.value};
  } else {
    to.value.copy_(grads.value);
  }
  const PartScope scope("rotary", {0, 2 * (bytes_of(to.query) + bytes_of(to.key))});
  ops::rotate_into(grads.query, grads.key, s.table.cos, s.table.sin, /*inverse=*/true, to.query, to.key);
  return packed;
}

/// Calls body(first, count) for pieces of the rows.
template <typename Body>
void for_row_chunks(int64_t rows, const Body& body) {
  for (int64_t first = 0; first < rows; first += kFeedForwardRows)
    body(first, std::min(kFeedForwardRows, rows - first));
}

/// sum + down(swiglu(gate and up of normal)), in the sum's place unless that is kept; gate and up go to `gate_up` where
/// that is defined.
Tensor feed_forward(const Tensor& normal, const Tensor& sum, const BlockWeights& weights, const Sizes& sizes,
                    const Tensor& gate_up, bool sum_is_kept) {
  const Tensor in = pack({weights.gate, weights.up}, normal.scalar_type());
  const Tensor out = pack({weights.down}, normal.scalar_type());
  Tensor output = sum_is_kept ? torch::empty_like(sum) : sum;
  for_row_chunks(sizes.rows(), [&](int64_t first, int64_t count) {
    Tensor rows = gate_up.defined() ? gate_up.narrow(0, first, count) : Tensor();
    {
      const PartScope scope("gate, up", {product_flops(count, sizes.hidden, 2 * sizes.intermediate), 0});
      if (rows.defined()) {
        torch::mm_out(rows, normal.narrow(0, first, count), in.t());
      } else {
        rows = product(normal.narrow(0, first, count), in);
      }
    }
    Tensor active;
    {
      const PartScope scope("swiglu", {0, 1.5 * bytes_of(rows)});
      active = ops::swiglu(rows);
    }
    const PartScope scope("down", {product_flops(count, sizes.intermediate, sizes.hidden), 0});
    Tensor to = output.narrow(0, first, count);
    if (sum_is_kept) {
      torch::addmm_out(to, sum.narrow(0, first, count), active, out.t());
    } else {
      to.addmm_(active, out.t());
    }
  });
  return output;
}

struct FeedForwardGradients {
  Tensor sum, norm, gate, up, down;
};

FeedForwardGradients feed_forward_backward(const Tensor& grad, const BlockState& state, const Tensor& sum,
                                           Tensor gate_up) {
  const Sizes& sizes = state.sizes;
  const BlockWeights& w = state.weights;
  const Tensor in = pack({w.gate, w.up}, grad.scalar_type());
  const Tensor out = pack({w.down}, grad.scalar_type());
  FeedForwardGradients total;
  Tensor grad_in;
  const auto add = [](Tensor& to, const Tensor& value) { to = to.defined() ? to.add_(value) : value; };
  const bool whole = sizes.rows() <= kFeedForwardRows;
  if (!whole) total.sum = torch::empty_like(sum);
  for_row_chunks(sizes.rows(), [&](int64_t first, int64_t count) {
    const Tensor rows = grad.narrow(0, first, count);
    const Tensor sum_rows = sum.narrow(0, first, count);
    Tensor middle = gate_up.defined() ? gate_up.narrow(0, first, count) : Tensor();
    Tensor normal;
    if (!middle.defined()) {
      {
        const PartScope scope("norm", {0, 2 * bytes_of(sum_rows)});
        normal = ops::rms_norm(sum_rows, {}, w.post_norm, state.settings.epsilon).normal;
      }
      const PartScope scope("gate, up again", {product_flops(count, sizes.hidden, 2 * sizes.intermediate), 0});
      middle = product(normal, in);
    }
    Tensor active;
    {
      Tensor grad_active;
      {
        const PartScope scope("down", {product_flops(count, sizes.intermediate, sizes.hidden), 0});
        grad_active = torch::mm(rows, out);
      }
      const PartScope scope("swiglu", {0, 3 * bytes_of(middle)});
      active = ops::swiglu_backward(grad_active, middle).output;
    }
    {
      const PartScope scope("down", {product_flops(count, sizes.intermediate, sizes.hidden), 0});
      add(total.down, weight_gradient(rows, active));
    }
    active = Tensor();
    Tensor grad_normal;
    {
      const PartScope scope("gate, up", {product_flops(count, sizes.hidden, 2 * sizes.intermediate), 0});
      grad_normal = torch::mm(middle, in);
    }
    {
      const PartScope scope("norm", {0, (normal.defined() ? 4 : 5) * bytes_of(sum_rows)});
      auto norm = ops::rms_norm_backward(grad_normal, sum_rows, w.post_norm, state.settings.epsilon, rows,
                                         /*with_normal=*/!normal.defined());
      if (!normal.defined()) normal = norm.normal;
      add(total.norm, norm.gain);
      if (whole) {
        total.sum = norm.input;
      } else {
        total.sum.narrow(0, first, count).copy_(norm.input);
      }
    }
    const PartScope scope("gate, up", {product_flops(count, sizes.hidden, 2 * sizes.intermediate), 0});
    add(grad_in, weight_gradient(middle, normal));
  });
  total.gate = grad_in.narrow(0, 0, sizes.intermediate);
  total.up = grad_in.narrow(0, sizes.intermediate, sizes.intermediate);
  return total;
}

class Block : public torch::autograd::Function<Block> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const BlockWeights& w, const BlockSettings& s,
                        bool keep, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                        const Tensor&, const Tensor& gate, const Tensor&, const Tensor&) {
    auto state = c10::make_intrusive<BlockState>();
    state->sizes = {x.size(0), x.size(1), x.size(2), gate.size(0)};
    state->settings = s;
    state->weights = w;
    Tensor y = run(*state, x.detach().reshape({-1, x.size(2)}).contiguous(), keep);
    state->settings.options = nullptr;
    state->settings.observer = {};
    if (keep) context->saved_data["state"] = c10::IValue::make_capsule(std::move(state));
    return y.view(x.sizes());
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto found = context->saved_data.find("state");
    if (found == context->saved_data.end()) {
      throw std::runtime_error("model: a block's backward pass ran twice; its activations are gone after the first");
    }
    // Taken out, so that each tensor is freed after its last use.
    auto state = c10::static_intrusive_pointer_cast<BlockState>(found->second.toCapsule());
    context->saved_data.erase(found);
    const torch::NoGradGuard no_grad;
    return run_backward(*state, grads[0]);
  }

 private:
  static Tensor run(BlockState& state, const Tensor& x, bool keep) {
    const Sizes& sizes = state.sizes;
    const BlockSettings& s = state.settings;
    const BlockWeights& w = state.weights;
    Tensor projections;
    {
      Tensor normal;
      {
        const PartScope scope("norm", {0, 2 * bytes_of(x)});
        normal = ops::rms_norm(x, {}, w.input_norm, s.epsilon).normal;
      }
      projections = project(normal, w);
    }
    AttentionState attention = attend(std::move(projections), sizes, s, keep);
    Tensor delta = output_projection(attended_rows(attention, sizes, s), w);
    if (!keep) attention = {};
    ops::Normalized post;
    {
      const PartScope scope("norm", {0, 4 * bytes_of(x)});
      post = ops::rms_norm(x, delta, w.post_norm, s.epsilon);
    }
    delta = Tensor();
    const bool keeps_sum = keep && s.recompute != Recompute::kFull;
    Tensor gate_up;
    if (keep && s.recompute == Recompute::kNone)
      gate_up = torch::empty({sizes.rows(), 2 * sizes.intermediate}, x.options());
    Tensor y = feed_forward(post.normal, post.sum, w, sizes, gate_up, keeps_sum);
    if (keep) {
      state.x = x;
      if (keeps_sum) state.sum = post.sum;
      state.gate_up = gate_up;
      state.attention = std::move(attention);
    }
    return y;
  }

  static Tensor output_projection(const Tensor& attended, const BlockWeights& w) {
    const Tensor weight = pack({w.output}, attended.scalar_type());
    const PartScope scope("output", {product_flops(attended.size(0), weight.size(1), weight.size(0)), 0});
    return product(attended, weight);
  }

  static variable_list run_backward(BlockState& state, const Tensor& grad_y) {
    const Sizes sizes = state.sizes;
    const BlockSettings& s = state.settings;
    const BlockWeights& w = state.weights;
    const auto type = state.x.scalar_type();
    const Tensor grad = grad_y.reshape({sizes.rows(), sizes.hidden}).contiguous();
    Tensor attended = attended_rows(state.attention, sizes, s);
    Tensor sum = std::move(state.sum);
    if (!sum.defined()) sum = output_projection(attended, w).add_(state.x);
    FeedForwardGradients ffn = feed_forward_backward(grad, state, sum, std::move(state.gate_up));
    sum = Tensor();

    Tensor grad_attended, grad_output;
    {
      const Tensor weight = pack({w.output}, type);
      const PartScope scope("output", {2 * product_flops(sizes.rows(), weight.size(1), weight.size(0)), 0});
      grad_attended = torch::mm(ffn.sum, weight);
      grad_output = weight_gradient(ffn.sum, attended);
    }
    attended = Tensor();
    const Tensor grad_projections =
        attend_backward(std::move(state.attention), std::exchange(grad_attended, Tensor()), sizes, s);
    Tensor grad_normal;
    const Tensor packed = packed_projections(w, type);
    {
      const PartScope scope("q, k, v", {product_flops(sizes.rows(), sizes.hidden, packed.size(0)), 0});
      grad_normal = torch::mm(grad_projections, packed);
    }
    ops::NormGradients norm;
    {
      const PartScope scope("norm", {0, 5 * bytes_of(state.x)});
      norm = ops::rms_norm_backward(grad_normal, state.x, w.input_norm, s.epsilon, ffn.sum, /*with_normal=*/true);
    }
    Tensor grad_packed;
    {
      const PartScope scope("q, k, v", {product_flops(sizes.rows(), sizes.hidden, packed.size(0)), 0});
      grad_packed = weight_gradient(grad_projections, norm.normal);
    }
    const int64_t query_rows = s.num_heads * s.head_dim;
    const int64_t key_rows = s.num_kv_heads * s.head_dim;
    const Tensor none;
    return {norm.input.view({sizes.batch, sizes.tokens, sizes.hidden}),
            none,
            none,
            none,
            norm.gain,
            grad_packed.narrow(0, 0, query_rows),
            grad_packed.narrow(0, query_rows, key_rows),
            grad_packed.narrow(0, query_rows + key_rows, key_rows),
            grad_output,
            ffn.norm,
            ffn.gate,
            ffn.up,
            ffn.down};
  }
};

class Norm : public torch::autograd::Function<Norm> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& gain, double epsilon) {
    const PartScope scope("norm", {0, 2 * bytes_of(x)});
    context->save_for_backward({x, gain});
    context->saved_data["epsilon"] = epsilon;
    return ops::rms_norm(x.reshape({-1, x.size(-1)}).contiguous(), {}, gain, epsilon).normal.view(x.sizes());
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const Tensor& x = saved[0];
    const PartScope scope("norm", {0, 3 * bytes_of(x)});
    const torch::NoGradGuard no_grad;
    const auto rows = [](const Tensor& t) { return t.reshape({-1, t.size(-1)}).contiguous(); };
    const auto norm = ops::rms_norm_backward(rows(grads[0]), rows(x), saved[1],
                                             context->saved_data["epsilon"].toDouble(), {}, /*with_normal=*/false);
    return {norm.input.view(x.sizes()), norm.gain, Tensor()};
  }
};

}  // namespace

Tensor run_norm(const Tensor& x, const Tensor& gain, double epsilon) { return Norm::apply(x, gain, epsilon); }

Tensor run_block(const Tensor& x, const BlockWeights& w, const BlockSettings& settings) {
  // As autograd decides whether there will be a backward pass: any of the inputs may be the only one that is trained.
  const bool keep = torch::GradMode::is_enabled() &&
                    torch::autograd::any_variable_requires_grad(
                        {x, w.input_norm, w.query, w.key, w.value, w.output, w.post_norm, w.gate, w.up, w.down});
  return Block::apply(x, w, settings, keep, w.input_norm, w.query, w.key, w.value, w.output, w.post_norm, w.gate, w.up,
                      w.down);
}

}  // namespace lighthouse::model
