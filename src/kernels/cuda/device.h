// What a device can do.
#pragma once

#include <string>

namespace lighthouse::kernels::cuda {

/// 90 for compute capability 9.0; 0 where there is no such device, or no CUDA in this build. Cheap: asked once a
/// device.
int compute_capability(int device);

/// Whether the kernels were compiled.
bool in_this_build();

struct DeviceFacts {
  std::string name;    ///< Empty where there is no such device.
  int capability = 0;  ///< As compute_capability().
  double memory_bytes = 0;
  double free_bytes = 0;
};
DeviceFacts device_facts(int device);

}  // namespace lighthouse::kernels::cuda
