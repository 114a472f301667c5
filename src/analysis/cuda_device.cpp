#include "analysis/cuda_device.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <torch/cuda.h>

namespace lighthouse::analysis {

bool cuda_usable() { return kernels::cuda::in_this_build() && torch::cuda::is_available(); }

std::string why_no_cuda() {
  if (!kernels::cuda::in_this_build()) {
    return "this build of lighthouse has no CUDA kernels; build it with LIGHTHOUSE_CUDA=on, which needs nvcc and a "
           "torch "
           "made for CUDA";
  }
  if (!torch::cuda::is_available()) {
    return "torch sees no CUDA device; look at nvidia-smi (is there a driver, new enough for torch's CUDA?) and at "
           "CUDA_VISIBLE_DEVICES";
  }
  return "";
}

CudaProvenance read_cuda_provenance() {
  const auto facts = kernels::cuda::device_facts(at::accelerator::getDeviceIndex());
  const auto& hooks = at::detail::getCUDAHooks();
  CudaProvenance provenance;
  provenance.gpu = facts.name;
  provenance.compute_capability = std::to_string(facts.capability / 10) + "." + std::to_string(facts.capability % 10);
  provenance.memory_bytes = facts.memory_bytes;
  provenance.cudnn = "none";
  if (hooks.hasCuDNN()) {
    const long version = hooks.versionRuntimeCuDNN();  // 91002 is 9.10.2
    provenance.cudnn = std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
                       std::to_string(version % 100);
  }
  return provenance;
}

}  // namespace lighthouse::analysis
