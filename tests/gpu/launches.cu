#include "launches.h"

#include "kernels/cuda/launch.h"

namespace lighthouse::test {
namespace {

__global__ void add_one(int* value) { *value += 1; }

}  // namespace

std::string check_launches() {
  using kernels::cuda::launch_kernel;
  int* value = nullptr;
  int found = 0;
  if (cudaMalloc(&value, sizeof(int)) != cudaSuccess) return "no memory";
  if (cudaMemset(value, 0, sizeof(int)) != cudaSuccess) return "cudaMemset failed";

  if (cudaSetDevice(9999) == cudaSuccess) return "there is a device 9999";
  if (const auto status = launch_kernel(&add_one, 1, 1, nullptr, value)) {
    return std::string("another call's error was reported as the launch's: ") + status;
  }
  if (cudaGetLastError() != cudaErrorInvalidDevice) return "another call's error was taken away";

  if (launch_kernel(&add_one, 1, 4096, nullptr, value) == nullptr) return "blocks of 4,096 threads were no error";
  if (cudaPeekAtLastError() != cudaSuccess) return "a launch's error was reported and left behind";
  if (launch_kernel(&add_one, 1, 1, nullptr, value) != nullptr) return "a launch after a failed one failed";

  if (cudaMemcpy(&found, value, sizeof(int), cudaMemcpyDeviceToHost) != cudaSuccess) return "cudaMemcpy failed";
  cudaFree(value);
  return found == 2 ? "" : "of two launches " + std::to_string(found) + " ran";
}

}  // namespace lighthouse::test
