// The dense causal attention that runs on the gathered sequence, and on the whole one in dense stages: torch's own
// kernels.
#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_scaled_dot_product_cudnn_attention.h>
#include <ATen/ops/_scaled_dot_product_efficient_attention.h>
#include <ATen/ops/_scaled_dot_product_flash_attention.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/constant_pad_nd.h>
#include <torch/library.h>

#include <cmath>

#include "kernels/cuda/device.h"
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

/// Key or value heads repeated to as many as the query has: a copy, which the backward pass keeps. Only the
/// memory-efficient kernel needs it; the others read grouped heads as they are.
Tensor repeat_heads(const Tensor& x, const c10::SymInt& heads) {
  const auto kv_heads = x.sym_size(1);
  if (kv_heads == heads) return x;
  const auto group = heads / kv_heads;
  return x.unsqueeze(2)
      .expand_symint({x.sym_size(0), kv_heads, group, x.sym_size(2), x.sym_size(3)})
      .reshape_symint({x.sym_size(0), heads, x.sym_size(2), x.sym_size(3)});
}

/// The kernel for a type, head dimension and device. None of them ever holds an S x S matrix.
///
/// - cuDNN: 16-bit types on Hopper and newer, head dimensions up to 128. The fastest there.
/// - FlashAttention-2: 16-bit types elsewhere, head dimensions up to 256; and wherever torch is told to be
///   deterministic, since its dq can be made so and cuDNN's cannot.
/// - memory-efficient: float32.
enum class CudaKernel { kCudnn, kFlash, kEfficient };

CudaKernel choose_cuda_kernel(const Tensor& query) {
  const auto type = query.scalar_type();
  const auto dim = query.sym_size(3).guard_int(__FILE__, __LINE__);
  TORCH_CHECK_TYPE(type != at::kDouble,
                   "lighthouse::dense_attention: torch has no float64 attention kernel for CUDA "
                   "that holds no N x N matrix; pass an inner attention of your own, or use float32");
  if (type == at::kFloat) return CudaKernel::kEfficient;
  TORCH_CHECK_VALUE(
      dim <= 256, "lighthouse::dense_attention: on CUDA 16-bit types need a head dimension of at most 256; got ", dim);
  const bool deterministic =
      at::globalContext().deterministicAlgorithms() && !at::globalContext().deterministicAlgorithmsWarnOnly();
  const bool hopper = kernels::cuda::compute_capability(query.device().index()) >= 90;
  const bool several = query.sym_size(2) > 1;  // cuDNN has no gradient for one row
  return hopper && several && dim <= 128 && !deterministic ? CudaKernel::kCudnn : CudaKernel::kFlash;
}

/// These kernels read 16 bytes at a time.
constexpr int64_t kAlignment = 16;

/// Rows that are whole pieces of 16 bytes: with columns of zeros, which change no product.
Tensor with_whole_pieces(const Tensor& tensor) {
  const int64_t pieces = kAlignment / static_cast<int64_t>(tensor.element_size());
  const int64_t rest = tensor.sym_size(3).guard_int(__FILE__, __LINE__) % pieces;
  return rest == 0 ? tensor : at::constant_pad_nd(tensor, {0, pieces - rest});
}

/// A copy of what starts, or has strides, between such pieces: torch looks at those of single rows and heads too.
/// Symbolic sizes are not asked: an answer would be a condition on the compiled code, and what it makes is contiguous.
Tensor with_aligned_rows(const Tensor& tensor) {
  if (tensor.unsafeGetTensorImpl()->has_symbolic_sizes_strides()) return tensor;
  const auto size = static_cast<int64_t>(tensor.element_size());
  bool aligned = tensor.storage_offset() * size % kAlignment == 0;
  for (int64_t dim = 0; dim < 3; ++dim) aligned = aligned && tensor.stride(dim) * size % kAlignment == 0;
  return aligned ? tensor : tensor.clone(at::MemoryFormat::Contiguous);
}

Tensor cuda_attention(const Tensor& query, const Tensor& key, const Tensor& value, CudaKernel kernel, double scale) {
  constexpr bool kCausal = true;
  const bool needs_gradient =
      at::GradMode::is_enabled() && (query.requires_grad() || key.requires_grad() || value.requires_grad());
  const auto heads = query.sym_size(1);
  switch (kernel) {
    case CudaKernel::kCudnn:
      return std::get<0>(at::_scaled_dot_product_cudnn_attention(
          query, key, value, /*attn_bias=*/std::nullopt, /*compute_log_sumexp=*/needs_gradient, /*dropout_p=*/0.0,
          kCausal, /*return_debug_mask=*/false, scale));
    case CudaKernel::kFlash:
      return std::get<0>(at::_scaled_dot_product_flash_attention(query, key, value, /*dropout_p=*/0.0, kCausal,
                                                                 /*return_debug_mask=*/false, scale));
    case CudaKernel::kEfficient:
      return std::get<0>(at::_scaled_dot_product_efficient_attention(
          query, repeat_heads(key, heads), repeat_heads(value, heads), /*attn_bias=*/std::nullopt,
          /*compute_log_sumexp=*/needs_gradient, /*dropout_p=*/0.0, kCausal, scale));
  }
  TORCH_INTERNAL_ASSERT(false);
}

Tensor with_contiguous_rows(const Tensor& tensor) { return tensor.sym_stride(-1) == 1 ? tensor : tensor.contiguous(); }

Tensor for_cuda(const Tensor& tensor) { return with_aligned_rows(with_whole_pieces(with_contiguous_rows(tensor))); }

}  // namespace

Tensor dense_attention(const Tensor& query, const Tensor& key, const Tensor& value, std::optional<double> scale) {
  ops::check_heads("lighthouse::dense_attention", "N", query, key, value);
  // Nothing to attend to; the (empty) sums keep all three in the graph.
  if (query.sym_numel() == 0) return query.add(key.sum().add(value.sum()));
  if (query.device().is_cpu()) {
    return cpu_flash_attention(with_contiguous_rows(query), with_contiguous_rows(key), with_contiguous_rows(value),
                               scale);
  }
  const CudaKernel kernel = choose_cuda_kernel(query);
  const auto dim = query.sym_size(3);
  const double root = std::sqrt(static_cast<double>(dim.guard_int(__FILE__, __LINE__)));
  const Tensor out =
      cuda_attention(for_cuda(query), for_cuda(key), for_cuda(value), kernel, scale.value_or(1.0 / root));
  return out.sym_size(3) == dim ? out : out.narrow_symint(3, 0, dim);
}

}  // namespace lighthouse

TORCH_LIBRARY_IMPL(lighthouse, CompositeImplicitAutograd, m) {
  m.impl("dense_attention", &lighthouse::dense_attention);
}
