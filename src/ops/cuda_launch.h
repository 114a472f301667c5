// What every launch of a CUDA kernel from torch needs: torch's stream, and an error that names the operator.
#pragma once

#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>

#include <limits>

#include "kernels/cuda/kernels.h"
#include "lighthouse/geometry.h"

namespace lighthouse::ops {

inline kernels::cuda::Stream current_stream() { return c10::cuda::getCurrentCUDAStream().stream(); }

/// Device code counts tokens and windows in 32 bits; offsets into tensors have 64.
inline void check_cuda_geometry(const char* op, const Geometry& geometry) {
  TORCH_CHECK_VALUE(geometry.num_entries() < std::numeric_limits<int32_t>::max(), op,
                    ": on CUDA a pyramid must have fewer than 2^31 entries; got ", geometry.num_entries(), " for ",
                    geometry.to_string());
}

/// `op` is the operator's whole name.
inline void check_status(const char* op, kernels::cuda::Status status) {
  TORCH_CHECK(status == nullptr, op, ": CUDA reported \"", status, "\"");
}

}  // namespace lighthouse::ops
