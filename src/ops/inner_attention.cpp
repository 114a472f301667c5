// The dense causal attention that runs on the gathered sequence, and on the whole one in dense stages: torch's own
// kernels.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_scaled_dot_product_attention_math.h>
#include <ATen/ops/_scaled_dot_product_cudnn_attention.h>
#include <ATen/ops/_scaled_dot_product_efficient_attention.h>
#include <ATen/ops/_scaled_dot_product_flash_attention.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lighthouse/attention.h"
#include "ops/checks.h"

namespace lighthouse {
namespace {

using at::Tensor;

/// Contiguous rows of their own: the CPU's products take no rows that overlap, or are all the same one. (Symbolic sizes
/// are not asked.)
Tensor for_cpu(const Tensor& tensor) {
  const bool symbolic = tensor.unsafeGetTensorImpl()->has_symbolic_sizes_strides();
  const bool apart = symbolic || tensor.size(2) == 1 || tensor.stride(2) >= tensor.size(3);
  return apart && tensor.sym_stride(-1) == 1 ? tensor : tensor.clone(at::MemoryFormat::Contiguous);
}

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

/// These kernels read 16 bytes at a time.
constexpr int64_t kAlignment = 16;

/// Rows that are whole pieces of 16 bytes: with columns of zeros, which change no product.
Tensor with_whole_pieces(const Tensor& tensor) {
  const int64_t pieces = kAlignment / static_cast<int64_t>(tensor.element_size());
  const int64_t rest = tensor.sym_size(3).guard_int(__FILE__, __LINE__) % pieces;
  return rest == 0 ? tensor : at::constant_pad_nd(tensor, {0, pieces - rest});
}

/// Whether no two elements share an address.
bool elements_are_apart(const Tensor& tensor) {
  std::array<std::pair<int64_t, int64_t>, 4> dims;  // stride, size
  for (int64_t dim = 0; dim < 4; ++dim) dims[static_cast<size_t>(dim)] = {tensor.stride(dim), tensor.size(dim)};
  std::sort(dims.begin(), dims.end());
  int64_t extent = 1;
  for (const auto& [stride, size] : dims) {
    if (size == 1) continue;
    if (stride < extent) return false;
    extent += stride * (size - 1);
  }
  return true;
}

/// A copy of what starts, or has strides, between such pieces: torch looks at those of single rows and heads too. And
/// of rows that overlap, or are all the same one: the kernels make their results of the inputs' strides. Symbolic sizes
/// are not asked: an answer would be a condition on the compiled code, and what it makes is contiguous.
Tensor with_aligned_rows(const Tensor& tensor) {
  if (tensor.unsafeGetTensorImpl()->has_symbolic_sizes_strides()) return tensor;
  const auto size = static_cast<int64_t>(tensor.element_size());
  bool aligned = tensor.storage_offset() * size % kAlignment == 0;
  for (int64_t dim = 0; dim < 3; ++dim) aligned = aligned && tensor.stride(dim) * size % kAlignment == 0;
  return aligned && elements_are_apart(tensor) ? tensor : tensor.clone(at::MemoryFormat::Contiguous);
}

Tensor call_kernel(const Tensor& query, const Tensor& key, const Tensor& value, InnerKernel kernel, double scale) {
  constexpr bool kCausal = true;
  const bool needs_gradient =
      at::GradMode::is_enabled() && (query.requires_grad() || key.requires_grad() || value.requires_grad());
  const auto heads = query.sym_size(1);
  switch (kernel) {
    case InnerKernel::kCudnn:
      return std::get<0>(at::_scaled_dot_product_cudnn_attention(
          query, key, value, /*attn_bias=*/std::nullopt, /*compute_log_sumexp=*/needs_gradient, /*dropout_p=*/0.0,
          kCausal, /*return_debug_mask=*/false, scale));
    case InnerKernel::kFlash:
      return std::get<0>(at::_scaled_dot_product_flash_attention(query, key, value, /*dropout_p=*/0.0, kCausal,
                                                                 /*return_debug_mask=*/false, scale));
    case InnerKernel::kEfficient:
      return std::get<0>(at::_scaled_dot_product_efficient_attention(
          query, repeat_heads(key, heads), repeat_heads(value, heads), /*attn_bias=*/std::nullopt,
          /*compute_log_sumexp=*/needs_gradient, /*dropout_p=*/0.0, kCausal, scale));
    case InnerKernel::kAuto:
    case InnerKernel::kMath: break;
  }
  TORCH_INTERNAL_ASSERT(false);
}

/// One call, or several of what one call's grid takes: these kernels give its y and z, of at most 65,535 blocks each,
/// to the batch and the heads.
Tensor cuda_attention(const Tensor& query, const Tensor& key, const Tensor& value, InnerKernel kernel, double scale) {
  constexpr int64_t kMost = 65535;
  const bool by_batch = query.sym_size(0) > kMost;
  if (!by_batch && query.sym_size(1) <= kMost) return call_kernel(query, key, value, kernel, scale);
  const int64_t dim = by_batch ? 0 : 1;
  const int64_t group = by_batch ? 1 : query.size(1) / key.size(1);
  TORCH_CHECK_VALUE(group <= kMost, "lighthouse::dense_attention: on CUDA a key head must have at most ", kMost,
                    " query heads; got ", group);
  const int64_t step = kMost / group;
  std::vector<Tensor> pieces;
  for (int64_t first = 0; first < key.size(dim); first += step) {
    const int64_t count = std::min(step, key.size(dim) - first);
    pieces.push_back(cuda_attention(query.narrow(dim, first * group, count * group), key.narrow(dim, first, count),
                                    value.narrow(dim, first, count), kernel, scale));
  }
  return at::cat(pieces, dim);
}

Tensor with_contiguous_rows(const Tensor& tensor) { return tensor.sym_stride(-1) == 1 ? tensor : tensor.contiguous(); }

Tensor for_cuda(const Tensor& tensor) { return with_aligned_rows(with_whole_pieces(with_contiguous_rows(tensor))); }

}  // namespace

Tensor dense_attention(const Tensor& query, const Tensor& key, const Tensor& value, std::optional<double> scale,
                       InnerKernel kernel) {
  ops::check_heads("lighthouse::dense_attention", "N", query, key, value);
  // Nothing to attend to; the (empty) sums keep all three in the graph.
  if (query.sym_numel() == 0) return query.add(key.sum().add(value.sum()));
  kernel = chosen_inner_kernel(query, kernel);
  if (kernel == InnerKernel::kMath) {
    return std::get<0>(at::_scaled_dot_product_attention_math(
        query, key, value, /*attn_mask=*/std::nullopt, /*dropout_p=*/0.0, /*is_causal=*/true,
        /*dropout_mask=*/std::nullopt, scale, /*enable_gqa=*/query.sym_size(1) != key.sym_size(1)));
  }
  if (query.device().is_cpu()) {
    return cpu_flash_attention(for_cpu(query), for_cpu(key), for_cpu(value), scale);
  }
  const auto dim = query.sym_size(3);
  const double root = std::sqrt(static_cast<double>(dim.guard_int(__FILE__, __LINE__)));
  const Tensor out =
      cuda_attention(for_cuda(query), for_cuda(key), for_cuda(value), kernel, scale.value_or(1.0 / root));
  return out.sym_size(3) == dim ? out : out.narrow_symint(3, 0, dim);
}

namespace {

Tensor dense_attention_operator(const Tensor& query, const Tensor& key, const Tensor& value,
                                std::optional<double> scale, std::optional<std::string_view> inner) {
  const InnerKernel kernel = inner ? inner_kernel_named(std::string(*inner)) : InnerKernel::kAuto;
  return dense_attention(query, key, value, scale, kernel);
}

}  // namespace
}  // namespace lighthouse

TORCH_LIBRARY_IMPL(lighthouse, CompositeImplicitAutograd, m) {
  m.impl("dense_attention", &lighthouse::dense_attention_operator);
}
