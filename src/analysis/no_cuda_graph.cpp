#include <stdexcept>

#include "analysis/cuda_graph.h"

namespace lighthouse::analysis {

struct CudaGraph::State {};

CudaGraph::CudaGraph(const std::function<void()>&) {
  throw std::runtime_error("this build of lighthouse has no CUDA graphs; build it with LIGHTHOUSE_CUDA=on");
}

CudaGraph::~CudaGraph() = default;

void CudaGraph::replay() {}

}  // namespace lighthouse::analysis
