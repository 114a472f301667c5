// The operators on CUDA tensors in a build without CUDA: an error that says so.
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

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
