#include "analysis/cuda_graph.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/core/StreamGuard.h>

namespace lighthouse::analysis {

struct CudaGraph::State {
  at::cuda::CUDAGraph graph;
};

CudaGraph::CudaGraph(const std::function<void()>& work) : state_(std::make_unique<State>()) {
  constexpr int kWarmUps = 3;
  const c10::DeviceIndex device = at::accelerator::getDeviceIndex();
  at::accelerator::synchronizeDevice(device);
  // The default stream cannot be captured. By torch's general interface: CUDA's own would link a second CUDA runtime
  // into the program.
  const c10::impl::VirtualGuardImpl streams(at::kCUDA);
  const c10::StreamGuard guard(streams.getStreamFromGlobalPool(c10::Device(at::kCUDA, device)));
  for (int i = 0; i < kWarmUps; ++i) work();
  at::accelerator::synchronizeDevice(device);
  at::getDeviceAllocator(at::kCUDA)->emptyCache();
  state_->graph.capture_begin();
  try {
    work();
  } catch (...) {
    // The stream must leave capture; that it ends badly is no news.
    try {
      state_->graph.capture_end();
    } catch (const c10::Error&) {}
    throw;
  }
  state_->graph.capture_end();
  at::accelerator::synchronizeDevice(device);
}

CudaGraph::~CudaGraph() = default;

void CudaGraph::replay() { state_->graph.replay(); }

}  // namespace lighthouse::analysis
