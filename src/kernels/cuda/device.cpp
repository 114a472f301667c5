#include "kernels/cuda/device.h"

#include <cuda_runtime_api.h>

#include <array>
#include <atomic>

namespace lighthouse::kernels::cuda {

int compute_capability(int device) {
  constexpr int kUnknown = -1;
  static auto& known = *[] {
    auto* all = new std::array<std::atomic<int>, 64>;
    for (auto& one : *all) one = kUnknown;
    return all;
  }();
  if (device < 0 || device >= static_cast<int>(known.size())) return 0;
  auto& slot = known[static_cast<size_t>(device)];
  if (slot == kUnknown) {
    int major = 0;
    int minor = 0;
    const bool fine = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
                      cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) == cudaSuccess;
    if (!fine) cudaGetLastError();  // not for the next to ask
    slot = fine ? 10 * major + minor : 0;
  }
  return slot;
}

bool in_this_build() { return true; }

DeviceFacts device_facts(int device) {
  cudaDeviceProp properties;
  int current = 0;
  if (cudaGetDevice(&current) != cudaSuccess || cudaGetDeviceProperties(&properties, device) != cudaSuccess) {
    cudaGetLastError();
    return {};
  }
  size_t free = 0;
  size_t total = 0;
  cudaSetDevice(device);
  const bool known = cudaMemGetInfo(&free, &total) == cudaSuccess;
  cudaSetDevice(current);
  if (!known) {
    cudaGetLastError();
    total = properties.totalGlobalMem;
  }
  return {properties.name, compute_capability(device), static_cast<double>(total), static_cast<double>(free)};
}

}  // namespace lighthouse::kernels::cuda
