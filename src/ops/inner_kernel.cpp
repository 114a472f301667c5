// Which of torch's attention kernels runs: the one that is named, by the caller or by LIGHTHOUSE_INNER, or the fastest.
#include <ATen/Context.h>
#include <c10/util/Exception.h>

#include <array>
#include <cstdlib>
#include <string>

#include "kernels/cuda/device.h"
#include "lighthouse/attention.h"

namespace lighthouse {
namespace {

using at::Tensor;

constexpr const char* kDenseAttention = "lighthouse::dense_attention";
constexpr const char* kInnerVariable = "LIGHTHOUSE_INNER";

struct InnerName {
  InnerKernel kernel;
  const char* text;
};
constexpr std::array<InnerName, 5> kInnerNames = {{{InnerKernel::kAuto, "auto"},
                                                   {InnerKernel::kCudnn, "cudnn"},
                                                   {InnerKernel::kFlash, "flash"},
                                                   {InnerKernel::kEfficient, "efficient"},
                                                   {InnerKernel::kMath, "math"}}};

std::string list_of_names() {
  std::string list;
  for (const InnerName& name : kInnerNames) list += std::string(list.empty() ? "" : ", ") + name.text;
  return list;
}

InnerKernel kernel_named(const std::string& what, const std::string& given) {
  for (const InnerName& name : kInnerNames) {
    if (given == name.text) return name.kernel;
  }
  TORCH_CHECK_VALUE(false, "lighthouse: ", what, " must be one of ", list_of_names(), "; got \"", given, "\"");
}

bool must_be_deterministic() {
  const auto& context = at::globalContext();
  return context.deterministicAlgorithms() && !context.deterministicAlgorithmsWarnOnly();
}

bool has_16_bits(const Tensor& query) {
  return query.scalar_type() == at::kHalf || query.scalar_type() == at::kBFloat16;
}

int64_t head_dim(const Tensor& query) { return query.sym_size(3).guard_int(__FILE__, __LINE__); }

bool has_one_row(const Tensor& query) { return query.sym_size(2) <= 1; }

/// - cuDNN: 16-bit types on Hopper and newer, head dimensions up to 128. The fastest there.
/// - FlashAttention-2: 16-bit types elsewhere, head dimensions up to 256; and wherever torch is told to be
///   deterministic, since its dq can be made so and cuDNN's cannot.
/// - memory-efficient: float32.
InnerKernel fastest(const Tensor& query) {
  if (query.device().is_cpu()) return InnerKernel::kFlash;
  TORCH_CHECK_TYPE(!query.is_cuda() || query.scalar_type() != at::kDouble, kDenseAttention,
                   ": torch has no float64 attention kernel for CUDA that holds no N x N matrix; pass an inner "
                   "attention of your own, name \"math\", which holds one, or use float32");
  if (!has_16_bits(query)) return InnerKernel::kEfficient;
  TORCH_CHECK_VALUE(head_dim(query) <= 256, kDenseAttention,
                    ": on CUDA 16-bit types need a head dimension of at most 256; got ", head_dim(query));
  const bool hopper = kernels::cuda::compute_capability(query.device().index()) >= 90;
  // cuDNN has no gradient for one row.
  const bool fits_cudnn = hopper && !has_one_row(query) && head_dim(query) <= 128 && !must_be_deterministic();
  return fits_cudnn ? InnerKernel::kCudnn : InnerKernel::kFlash;
}

/// `by` is how the kernel was named.
void check_can_run(const Tensor& query, InnerKernel kernel, const std::string& by) {
  const auto expect = [&](bool holds, const auto&... message) {
    TORCH_CHECK_VALUE(holds, kDenseAttention, ": ", by, " ", message..., ". The kernels are ", list_of_names());
  };
  if (kernel == InnerKernel::kMath) return;
  if (query.device().is_cpu()) {
    expect(kernel == InnerKernel::kFlash, "runs on CUDA; got tensors on the CPU, which has auto, flash and math");
    return;
  }
  if (kernel == InnerKernel::kEfficient) {
    TORCH_CHECK_TYPE(query.scalar_type() != at::kDouble, kDenseAttention, ": ", by,
                     " takes float32 and 16-bit types; got ", query.scalar_type());
    return;
  }
  TORCH_CHECK_TYPE(has_16_bits(query), kDenseAttention, ": ", by, " takes bfloat16 and float16; got ",
                   query.scalar_type(), ". float32 has efficient and math");
  const int64_t most = kernel == InnerKernel::kCudnn ? 128 : 256;
  expect(head_dim(query) <= most, "takes head dimensions of at most ", most, "; got ", head_dim(query));
  expect(kernel != InnerKernel::kCudnn || !must_be_deterministic(),
         "has a gradient that differs from run to run, and torch is told to be deterministic; use auto or flash");
}

}  // namespace

const char* name_of(InnerKernel kernel) {
  for (const InnerName& name : kInnerNames) {
    if (kernel == name.kernel) return name.text;
  }
  TORCH_CHECK_VALUE(false, "lighthouse: the inner kernel must be one of ", list_of_names(), "; got number ",
                    static_cast<int>(kernel));
}

InnerKernel inner_kernel_named(const std::string& name) { return kernel_named("the inner kernel", name); }

InnerKernel chosen_inner_kernel(const Tensor& query, InnerKernel kernel) {
  std::string by = std::string("the inner kernel ") + name_of(kernel);
  if (kernel == InnerKernel::kAuto) {
    const char* const named = std::getenv(kInnerVariable);
    if (named != nullptr && *named != '\0') kernel = kernel_named(kInnerVariable, named);
    by = std::string(kInnerVariable) + "=" + name_of(kernel);
  }
  if (kernel == InnerKernel::kAuto) return fastest(query);
  check_can_run(query, kernel, by);
  // cuDNN has no gradient for one row, whose output is its value.
  return kernel == InnerKernel::kCudnn && has_one_row(query) ? InnerKernel::kFlash : kernel;
}

}  // namespace lighthouse
