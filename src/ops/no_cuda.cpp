// The operators on CUDA tensors in a build without CUDA: an error that says so.
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include "ops/fused_cuda.h"

namespace {

void not_in_this_build(const c10::OperatorHandle& op, torch::jit::Stack*) {
  TORCH_CHECK_NOT_IMPLEMENTED(
      false, op.schema().name(),
      ": this build of lighthouse has no CUDA kernels. Build it with LIGHTHOUSE_CUDA=on (nvcc is "
      "needed), or move the tensors to the CPU.");
}

}  // namespace

TORCH_LIBRARY_IMPL(lighthouse, CUDA, m) {
  for (const char* name : {"select", "select_windows", "rotary", "rotary_score", "gather", "gather_backward", "scatter",
                           "scatter_backward", "entries", "writes"}) {
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&not_in_this_build>());
  }
}

namespace lighthouse::ops::cuda {
namespace {

using at::Tensor;

[[noreturn]] void not_in_this_build() {
  TORCH_CHECK_NOT_IMPLEMENTED(false,
                              "lighthouse: this build has no CUDA kernels. Build it with LIGHTHOUSE_CUDA=on (nvcc is "
                              "needed), or move the tensors to the CPU.");
}

}  // namespace

bool norm_fits(const Tensor&) { not_in_this_build(); }
Normalized rms_norm(const Tensor&, const Tensor&, const Tensor&, double) { not_in_this_build(); }
NormGradients rms_norm_backward(const Tensor&, const Tensor&, const Tensor&, double, const Tensor&, bool) {
  not_in_this_build();
}
bool swiglu_fits(const Tensor&) { not_in_this_build(); }
Tensor swiglu(const Tensor&) { not_in_this_build(); }
SwigluGradients swiglu_backward(const Tensor&, Tensor) { not_in_this_build(); }
void rotate(const Geometry&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, bool, const WindowScores*,
            const Tensor&, const Tensor&) {
  not_in_this_build();
}
void broadcast_into(kernels::Span, const std::vector<Tensor>&, const Tree&, const std::vector<Tensor>&) {
  not_in_this_build();
}

}  // namespace lighthouse::ops::cuda
