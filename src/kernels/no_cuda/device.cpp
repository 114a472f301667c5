#include "kernels/cuda/device.h"

namespace lighthouse::kernels::cuda {

int compute_capability(int) { return 0; }

}  // namespace lighthouse::kernels::cuda
