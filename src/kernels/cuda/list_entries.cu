// The tree as lists: flat indices in gathered order, and which of them write.
#include <algorithm>

#include "kernels/cuda/launch.h"

namespace lighthouse::kernels::cuda {
namespace {

struct ListLaunch {
  SmallPyramid pyramid;
  int trees;
  const Node* nodes;
  int32_t* entries;
  bool* writes;
};

__device__ void put(const ListLaunch& l, int tree, int rank, int flat_index, bool writes) {
  const int64_t place = static_cast<int64_t>(tree) * l.pyramid.retained_length + bounded_rank(l.pyramid, rank);
  if (l.entries != nullptr) l.entries[place] = flat_index;
  if (l.writes != nullptr) l.writes[place] = writes;
}

/// A thread to each window of levels >= 1, and to each tail token.
__global__ void list_kernel(const __grid_constant__ ListLaunch l) {
  const SmallPyramid& p = l.pyramid;
  const int item = blockIdx.x * blockDim.x + threadIdx.x;
  const int tail = p.num_tokens - p.tail_begin;
  if (item >= p.num_nodes + tail) return;
  for (int tree = blockIdx.y; tree < l.trees; tree += gridDim.y) {
    if (item >= p.num_nodes) {
      const int i = item - p.num_nodes;
      put(l, tree, p.tail_rank + i, p.tail_begin + i, true);
      continue;
    }
    const Node* const nodes = l.nodes + static_cast<int64_t>(tree) * p.num_nodes;
    if (item == p.num_nodes - 1) check_tree(p, nodes);
    const Node word = nodes[item];
    if (word == kNotRetained) continue;
    const int rank = word >> kRankShift;
    put(l, tree, rank, p.num_tokens + item, (word & kWrites) != 0);
    if (item >= p.num_windows[1] || (word & kExpanded) == 0) continue;  // level 1 comes first among the nodes
    if (rank < p.pooling_factor) fail_tree();  // a tree of another p: its tokens would come before the first row
    for (int c = 0; c < p.pooling_factor; ++c) {
      put(l, tree, rank - p.pooling_factor + c, item * p.pooling_factor + c, (word & kChildrenWrite) != 0);
    }
  }
}

}  // namespace

Status list_entries(const ListParameters& parameters, Stream stream) {
  ListLaunch l{small(parameters.pyramid), static_cast<int>(parameters.trees), parameters.nodes, parameters.entries,
               parameters.writes};
  const int64_t items = int64_t{l.pyramid.num_nodes} + l.pyramid.num_tokens - l.pyramid.tail_begin;
  if (items == 0 || l.trees == 0) return nullptr;
  constexpr int kThreads = 256;
  const dim3 grid(static_cast<unsigned>(ceil_div(items, kThreads)), static_cast<unsigned>(std::min(l.trees, 65535)));
  return launch_kernel(&list_kernel, grid, kThreads, stream, l);
}

}  // namespace lighthouse::kernels::cuda
