// One decoder block as a single step of autograd: what is kept for its backward pass, what is computed again there, and
// every product and kernel of both passes stand here in the open.
//
//   x2 = x + o_proj(attention(rotary(qkv_proj(norm(x)))))      y = x2 + down(silu(gate(n)) * up(n)), n = norm(x2)
//
// Weights may be wider than what is computed in: they are rounded to the type of x for the products, and their
// gradients come back in the weights' own type, summed in float32.
#pragma once

#include <torch/types.h>

#include <functional>

#include "lighthouse/attention.h"
#include "model/recompute.h"
#include "model/rotary.h"

namespace lighthouse::model {

/// Rows of the feed-forward part that are computed at once: enough to fill a GPU, few enough that what stands between
/// its products stays small beside a long sequence.
inline constexpr int64_t kFeedForwardRows = 131072;

struct BlockWeights {
  torch::Tensor input_norm;  // [C]
  torch::Tensor query;       // [H D, C]
  torch::Tensor key;         // [K D, C]
  torch::Tensor value;       // [K D, C]
  torch::Tensor output;      // [C, H D]
  torch::Tensor post_norm;   // [C]
  torch::Tensor gate;        // [F, C]
  torch::Tensor up;          // [F, C]
  torch::Tensor down;        // [C, F]
};

struct BlockSettings {
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  double epsilon = 0;
  RotaryTable table;                          ///< Of x's length.
  const AttentionOptions* options = nullptr;  ///< Null: dense. Only during the call.
  InnerKernel inner_kernel = InnerKernel::kAuto;
  Recompute recompute = Recompute::kNone;
  /// Called in forward with query [B, H, N, D] and key [B, K, N, D] as attention gets them.
  std::function<void(const torch::Tensor& query, const torch::Tensor& key)> observer;
};

/// x [B, N, C] -> [B, N, C]. Differentiable in x and all weights, once.
torch::Tensor run_block(const torch::Tensor& x, const BlockWeights& weights, const BlockSettings& settings);

/// The root-mean-square norm of x [.., C] times the gain [C]. Differentiable in both, once.
torch::Tensor run_norm(const torch::Tensor& x, const torch::Tensor& gain, double epsilon);

}  // namespace lighthouse::model
