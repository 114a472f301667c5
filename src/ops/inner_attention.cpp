// The dense causal attention that runs on the gathered sequence, and on the whole one in dense stages: torch's own
// kernels.
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <torch/library.h>

#include "lighthouse/attention.h"
#include "ops/checks.h"

namespace lighthouse {
namespace {

using at::Tensor;

/// torch's flash kernel for the CPU. Called by name: the general function may fall back to a whole N x N matrix.
Tensor cpu_flash_attention(const Tensor& query, const Tensor& key, const Tensor& value, std::optional<double> scale) {
  const auto flash = [&](const Tensor& q, const Tensor& k, const Tensor& v) {
    return std::get<0>(at::_scaled_dot_product_flash_attention_for_cpu(q, k, v, /*dropout_p=*/0.0, /*is_causal=*/true,
                                                                       /*attn_mask=*/std::nullopt, scale));
  };
  const auto heads = query.sym_size(1);
  const auto kv_heads = key.sym_size(1);
  if (heads == kv_heads) return flash(query, key, value);
  // The kernel wants as many key heads as query heads. With the KV heads in the batch dimension, a stride of 0 repeats
  // them.
  const auto batch = query.sym_size(0);
  const auto rows = query.sym_size(2);
  const auto dim = query.sym_size(3);
  const auto group = heads / kv_heads;
  const auto repeated = [&](const Tensor& x) {
    return x.reshape_symint({batch * kv_heads, 1, rows, dim}).expand_symint({batch * kv_heads, group, rows, dim});
  };
  const Tensor out = flash(query.reshape_symint({batch * kv_heads, group, rows, dim}), repeated(key), repeated(value));
  return out.reshape_symint({batch, heads, rows, dim});
}

Tensor with_contiguous_rows(const Tensor& tensor) { return tensor.sym_stride(-1) == 1 ? tensor : tensor.contiguous(); }

}  // namespace

Tensor dense_attention(const Tensor& query, const Tensor& key, const Tensor& value, std::optional<double> scale) {
  ops::check_heads("lighthouse::dense_attention", "N", query, key, value);
  // Nothing to attend to; the (empty) sums keep all three in the graph.
  if (query.sym_numel() == 0) return query.add(key.sum().add(value.sum()));
  if (query.device().is_cpu()) {
    return cpu_flash_attention(with_contiguous_rows(query), with_contiguous_rows(key), with_contiguous_rows(value),
                               scale);
  }
  return at::scaled_dot_product_attention(query, key, value, /*attn_mask=*/std::nullopt, /*dropout_p=*/0.0,
                                          /*is_causal=*/true, scale,
                                          /*enable_gqa=*/query.sym_size(1) != key.sym_size(1));
}

}  // namespace lighthouse

TORCH_LIBRARY_IMPL(lighthouse, CompositeImplicitAutograd, m) {
  m.impl("dense_attention", &lighthouse::dense_attention);
}
