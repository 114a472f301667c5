// Whether this program can compute on a GPU, and on which.
#pragma once

#include <string>

#include "kernels/cuda/device.h"

namespace lighthouse::analysis {

/// Built with CUDA, and torch sees a device.
bool cuda_usable();
/// What is in the way, and what to do about it. Empty where nothing is.
std::string why_no_cuda();

struct CudaProvenance {
  std::string gpu;
  std::string compute_capability;  ///< "9.0".
  double memory_bytes = 0;
  std::string cudnn;  ///< Version, "none" where torch has none.
};

/// Of the current device.
CudaProvenance read_cuda_provenance();

}  // namespace lighthouse::analysis
