// What every launch of a CUDA kernel from torch needs: torch's stream, and an error that names the operator.
#pragma once

#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>

#include "kernels/cuda/kernels.h"

namespace lighthouse::ops {

inline kernels::cuda::Stream current_stream() { return c10::cuda::getCurrentCUDAStream().stream(); }

/// `op` is the operator's whole name.
inline void check_status(const char* op, kernels::cuda::Status status) {
  TORCH_CHECK(status == nullptr, op, ": CUDA reported \"", status, "\"");
}

}  // namespace lighthouse::ops
