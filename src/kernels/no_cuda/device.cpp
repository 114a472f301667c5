#include "kernels/cuda/device.h"

namespace lighthouse::kernels::cuda {

int compute_capability(int) { return 0; }

bool in_this_build() { return false; }

DeviceFacts device_facts(int) { return {}; }

}  // namespace lighthouse::kernels::cuda
