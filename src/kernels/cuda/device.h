// What a device can do.
#pragma once

namespace lighthouse::kernels::cuda {

/// 90 for compute capability 9.0; 0 where there is no such device, or no CUDA in this build. Cheap: asked once a
/// device.
int compute_capability(int device);

}  // namespace lighthouse::kernels::cuda
