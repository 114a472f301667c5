// The cascade (docs/ALGORITHM.md, 4 and 4b), a block of threads to a tile.
//
// A level's best candidates are found by a radix select: the bits of the score that the last one chosen has, eight at a
// time from the top, by counting; then all above it are taken, and of its equals the first ones. Counting is in
// integers, so nothing depends on the order of threads.
//
// The words of the tree hold what is known on the way: flags while levels are chosen, then the sizes of subtrees, then
// ranks. Beside them there is a list of the windows that a level expands, in order.
#include <cub/block/block_scan.cuh>

#include <algorithm>

#include "kernels/cuda/launch.h"

namespace lighthouse::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kKept = 8;  // keys that a thread keeps in registers
using Scan = cub::BlockScan<int, kThreads>;

struct SelectLaunch {
  SmallPyramid pyramid;
  int trees;
  bool cover_prefix;
  bool causal_selection;
  const float* query_scores;
  const float* key_scores;
  Node* nodes;
  int most_expanded;  // by a level of a tile
  int* expanded;      // [trees, num_tiles, kept levels, most_expanded]
};

/// A number that sorts as the rule does: larger scores first, +0 equal to -0, NaN below everything but what is not
/// eligible, which is 0.
__device__ unsigned order_of(float score) {
  if (isnan(score)) return 1;
  const unsigned bits = __float_as_uint(score + 0.0F);  // -0 becomes +0
  // At least 2^23 - 1 for -infinity: above NaN.
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

struct Shared {
  typename Scan::TempStorage scan;
  int histogram[256];
  unsigned chosen_digit;
  int chosen_left;
};

class TileSelector {
 public:
  __device__ TileSelector(const SelectLaunch& s, int tree, int tile, Shared& shared)
      : s_(s),
        p_(s.pyramid),
        shared_(shared),
        query_scores_(s.query_scores + static_cast<int64_t>(tree) * p_.num_nodes),
        key_scores_(s.key_scores + static_cast<int64_t>(tree) * p_.num_nodes),
        nodes_(s.nodes + static_cast<int64_t>(tree) * p_.num_nodes),
        expanded_(s.expanded +
                  (static_cast<int64_t>(tree) * p_.num_tiles + tile) * (p_.num_levels - 1) * s.most_expanded),
        tile_(tile),
        begin_(tile_begin(tile)),
        end_(tile_begin(tile + 1)) {}

  __device__ void run() {
    forget();
    int candidates = end_ - begin_;
    for (int level = p_.num_levels - 1; level >= 1; --level) {
      choose(level, candidates);
      counts_[level] = list_expanded(level, candidates);
      if (level > 1) descend(level);
      candidates = counts_[level] * p_.pooling_factor;
    }
    measure_subtrees();
    assign_ranks();
  }

 private:
  __device__ int tile_begin(int tile) const {
    return static_cast<int>(static_cast<int64_t>(tile) * p_.num_coarsest_windows / p_.num_tiles);
  }

  __device__ Node& node(int level, int window) const { return nodes_[p_.node_offset[level] + window]; }

  /// Windows that a level expands, ascending.
  __device__ int* expanded(int level) const { return expanded_ + (level - 1) * static_cast<int64_t>(s_.most_expanded); }

  /// The window of a level's candidate: of the coarsest level all of the tile, below the children of what was expanded.
  __device__ int window_of(int level, int candidate) const {
    if (level == p_.num_levels - 1) return begin_ + candidate;
    const int parent = candidate / p_.pooling_factor;
    return expanded(level + 1)[parent] * p_.pooling_factor + (candidate - parent * p_.pooling_factor);
  }

  __device__ void forget() {
    const int coarsest = p_.num_levels - 1;
    for (int level = 1; level < coarsest; ++level) {
      const int per_coarsest = p_.num_windows[level] / p_.num_coarsest_windows;
      for (int window = begin_ * per_coarsest + threadIdx.x; window < end_ * per_coarsest; window += kThreads) {
        node(level, window) = kNotRetained;
      }
    }
    for (int window = begin_ + threadIdx.x; window < end_; window += kThreads) node(coarsest, window) = kWrites;
    __syncthreads();
  }

  __device__ float query_score(int level, int window) const {
    const float* const scores = query_scores_ + p_.node_offset[level];
    if (s_.causal_selection) return window == 0 ? INFINITY : scores[window - 1];
    return window == 0 && s_.cover_prefix ? INFINITY : scores[window];
  }

  /// Sets kExpanded, and kChildrenWrite where the children do.
  __device__ void choose(int level, int candidates) {
    if (candidates <= p_.tile_budget) {
      for (int i = threadIdx.x; i < candidates; i += kThreads) {
        Node& word = node(level, window_of(level, i));
        word |= kExpanded | ((word & kWrites) != 0 ? kChildrenWrite : 0);
      }
      __syncthreads();
      return;
    }
    // Under the paper's rule every entry writes, and so do the children of those expanded for their keys.
    take_best(level, candidates, kExpanded | kChildrenWrite, [&](int window) {
      return (node(level, window) & kWrites) != 0 ? order_of(query_score(level, window)) : 0U;
    });
    const Node for_keys = kExpanded | (s_.causal_selection ? 0 : kChildrenWrite);
    const float* const key_scores = key_scores_ + p_.node_offset[level];
    take_best(level, candidates, for_keys,
              [&](int window) { return (node(level, window) & kExpanded) == 0 ? order_of(key_scores[window]) : 0U; });
  }

  /// Marks the tile_budget / 2 candidates of the highest order, or all that are eligible if they are fewer.
  template <typename Order>
  __device__ void take_best(int level, int candidates, Node mark, const Order& order) {
    // Keys are asked for five times over: most tiles have few enough to keep.
    const bool kept = candidates <= kThreads * kKept;
    unsigned keys[kKept];
#pragma unroll
    for (int j = 0; j < kKept; ++j) {
      const int i = j * kThreads + static_cast<int>(threadIdx.x);
      keys[j] = kept && i < candidates ? order(window_of(level, i)) : 0U;
    }
    const auto for_each_key = [&](const auto& body) {
      if (kept) {
#pragma unroll
        for (int j = 0; j < kKept; ++j) {
          if (j * kThreads + static_cast<int>(threadIdx.x) < candidates) body(keys[j]);
        }
      } else {
        for (int i = threadIdx.x; i < candidates; i += kThreads) body(order(window_of(level, i)));
      }
    };

    int left = p_.tile_budget / 2;  // to be taken among those whose upper digits are those of `last`
    unsigned last = 0;              // the order of the last one taken, found digit by digit
    for (int shift = 24; shift >= 0; shift -= 8) {
      for (int i = threadIdx.x; i < 256; i += kThreads) shared_.histogram[i] = 0;
      __syncthreads();
      for_each_key([&](unsigned key) {
        const bool same_above = shift == 24 || key >> (shift + 8) == last >> (shift + 8);
        if (same_above) atomicAdd(&shared_.histogram[(key >> shift) & 255U], 1);
      });
      __syncthreads();
      find_digit(left);
      last |= shared_.chosen_digit << shift;
      left = shared_.chosen_left;
      __syncthreads();
    }

    // Equals of the last one are taken in their own order, the first `left` of them.
    int equals_before = 0;
    for (int first = 0, j = 0; first < candidates; first += kThreads, ++j) {
      const int i = first + static_cast<int>(threadIdx.x);
      const int window = i < candidates ? window_of(level, i) : 0;
      unsigned key = 0;
      if (kept) {
#pragma unroll
        for (int n = 0; n < kKept; ++n) key = n == j ? keys[n] : key;
      } else if (i < candidates) {
        key = order(window);
      }
      const int is_equal = key == last && key != 0 ? 1 : 0;
      int rank = 0;
      int equals = 0;
      Scan(shared_.scan).ExclusiveSum(is_equal, rank, equals);
      // The keys of this round are all known: a mark changes the key of no other window.
      if (key > last || (is_equal != 0 && equals_before + rank < left)) node(level, window) |= mark;
      equals_before += equals;
      __syncthreads();
    }
  }

  /// From the histogram: the digit of the `left`-th from the top, and how many are left to take within it.
  __device__ void find_digit(int left) {
    // Thread i looks at digit 255 - i, so that a prefix sum counts from the top.
    const int digit = 255 - static_cast<int>(threadIdx.x);
    const int count = digit >= 0 ? shared_.histogram[digit] : 0;
    int above = 0;
    Scan(shared_.scan).ExclusiveSum(count, above);
    const bool last = digit == 0;  // fewer than `left` are there: take all
    if (digit >= 0 && above < left && (above + count >= left || last)) {
      shared_.chosen_digit = static_cast<unsigned>(digit);
      shared_.chosen_left = left - above;
    }
    __syncthreads();
  }

  /// Compacts the expanded windows of a level, in order; returns their number.
  __device__ int list_expanded(int level, int candidates) {
    int listed = 0;
    for (int first = 0; first < candidates; first += kThreads) {
      const int i = first + static_cast<int>(threadIdx.x);
      const int window = i < candidates ? window_of(level, i) : 0;
      const int is_expanded = i < candidates && (node(level, window) & kExpanded) != 0 ? 1 : 0;
      int before = 0;
      int total = 0;
      Scan(shared_.scan).ExclusiveSum(is_expanded, before, total);
      if (is_expanded != 0) expanded(level)[listed + before] = window;
      listed += total;
      __syncthreads();
    }
    return listed;
  }

  /// Children of what a level expanded are retained, and write where their parent's flag says so.
  __device__ void descend(int level) {
    const int children = counts_[level] * p_.pooling_factor;
    for (int i = threadIdx.x; i < children; i += kThreads) {
      const int window = window_of(level - 1, i);
      const Node parent = node(level, window / p_.pooling_factor);
      node(level - 1, window) = (parent & kChildrenWrite) != 0 ? kWrites : 0;
    }
    __syncthreads();
  }

  /// Puts the size of each retained entry's subtree where its rank will stand.
  __device__ void measure_subtrees() {
    for (int level = 1; level < p_.num_levels; ++level) {
      const int candidates = level == p_.num_levels - 1 ? end_ - begin_ : counts_[level + 1] * p_.pooling_factor;
      for (int i = threadIdx.x; i < candidates; i += kThreads) {
        const int window = window_of(level, i);
        Node& word = node(level, window);
        int size = 1;
        if ((word & kExpanded) != 0) {
          size += level == 1 ? p_.pooling_factor : size_of_children(level, window);
        }
        word |= size << kRankShift;
      }
      __syncthreads();
    }
  }

  __device__ int size_of_children(int level, int window) const {
    int size = 0;
    for (int c = 0; c < p_.pooling_factor; ++c) size += node(level - 1, window * p_.pooling_factor + c) >> kRankShift;
    return size;
  }

  __device__ static Node with_rank(Node word, int rank) {
    return (word & ((1 << kRankShift) - 1)) | (rank << kRankShift);
  }

  /// Post-order: an entry comes last in its subtree, and subtrees follow each other.
  __device__ void assign_ranks() {
    const int coarsest = p_.num_levels - 1;
    int begin = tile_rank();
    for (int first = begin_; first < end_; first += kThreads) {
      const int window = first + static_cast<int>(threadIdx.x);
      const int size = window < end_ ? node(coarsest, window) >> kRankShift : 0;
      int end = 0;
      int total = 0;
      Scan(shared_.scan).InclusiveSum(size, end, total);
      if (window < end_) node(coarsest, window) = with_rank(node(coarsest, window), begin + end - 1);
      begin += total;
      __syncthreads();
    }
    for (int level = coarsest; level > 1; --level) {
      for (int i = threadIdx.x; i < counts_[level]; i += kThreads) {
        const int window = expanded(level)[i];
        // The subtrees of its children stand right before it.
        int end = (node(level, window) >> kRankShift) - size_of_children(level, window);
        for (int c = 0; c < p_.pooling_factor; ++c) {
          Node& child = node(level - 1, window * p_.pooling_factor + c);
          end += child >> kRankShift;
          child = with_rank(child, end - 1);
        }
      }
      __syncthreads();
    }
  }

  /// Entries of the tiles before. Tiles have one of two sizes, floor(M / n) windows or one more.
  __device__ int tile_rank() const {
    const int size = p_.num_coarsest_windows / p_.num_tiles;
    const int larger = begin_ - tile_ * size;  // of the tiles before
    return (tile_ - larger) * retained_of(size) + larger * retained_of(size + 1);
  }

  /// What a tile of so many windows retains: each level expands its budget's worth, or all that it has.
  __device__ int retained_of(int windows) const {
    int64_t candidates = windows;
    int64_t retained = candidates;
    for (int level = p_.num_levels - 1; level >= 1; --level) {
      candidates = (candidates < p_.tile_budget ? candidates : p_.tile_budget) * p_.pooling_factor;
      retained += candidates;
    }
    return static_cast<int>(retained);
  }

  const SelectLaunch& s_;
  const SmallPyramid& p_;
  Shared& shared_;
  const float* const query_scores_;
  const float* const key_scores_;
  Node* const nodes_;
  int* const expanded_;
  const int tile_;
  const int begin_;
  const int end_;
  int counts_[SmallPyramid::kMaxLevels];
};

__global__ void __launch_bounds__(kThreads) select_kernel(const __grid_constant__ SelectLaunch s) {
  __shared__ Shared shared;
  for (int tree = blockIdx.y; tree < s.trees; tree += gridDim.y) {
    TileSelector(s, tree, blockIdx.x, shared).run();
    __syncthreads();
  }
}

/// Windows that a level of a tile may expand: its budget, or all that a tile has of level 1.
int64_t most_expanded(const Pyramid& p) {
  const int64_t of_coarsest = p.num_windows[1] / p.num_coarsest_windows;
  return std::min(p.tile_budget, ceil_div(p.num_coarsest_windows, p.num_tiles) * of_coarsest);
}

}  // namespace

size_t select_workspace(const SelectParameters& parameters) {
  const Pyramid& p = parameters.pyramid;
  if (p.num_nodes == 0) return 0;
  return static_cast<size_t>(parameters.trees * p.num_tiles * (p.num_levels - 1) * most_expanded(p)) * sizeof(int);
}

Status select(const SelectParameters& parameters, void* workspace, Stream stream) {
  if (parameters.pyramid.num_nodes == 0 || parameters.trees == 0) return nullptr;
  SelectLaunch s{};
  s.pyramid = small(parameters.pyramid);
  s.trees = static_cast<int>(parameters.trees);
  s.cover_prefix = parameters.cover_prefix;
  s.causal_selection = parameters.causal_selection;
  s.query_scores = parameters.query_scores;
  s.key_scores = parameters.key_scores;
  s.nodes = parameters.nodes;
  s.most_expanded = static_cast<int>(most_expanded(parameters.pyramid));
  s.expanded = static_cast<int*>(workspace);
  const dim3 grid(static_cast<unsigned>(s.pyramid.num_tiles), static_cast<unsigned>(std::min(s.trees, 65535)));
  return launch_kernel(&select_kernel, grid, kThreads, stream, s);
}

}  // namespace lighthouse::kernels::cuda
