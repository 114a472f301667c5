// Work on the CUDA device captured once and replayed.
#pragma once

#include <functional>
#include <memory>

namespace lighthouse::analysis {

class CudaGraph {
 public:
  /// Calls `work` a few times to warm up, then once to capture it. Its tensors live in memory that the graph keeps.
  explicit CudaGraph(const std::function<void()>& work);
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;
  ~CudaGraph();

  /// On the current stream.
  void replay();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lighthouse::analysis
