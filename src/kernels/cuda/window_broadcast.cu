// Window-broadcast: one row per token, the weighted sum of the retained entries whose span holds it, coarse to fine. Every
// token's row is written once.
#include "kernels/cuda/window_launch.cuh"

namespace lighthouse::kernels::cuda {
namespace {

template <typename T, int kWidth, Span kSpan, int kP, int kL>
class Broadcast : Walk<T, kWidth, kSpan> {
  using Base = Walk<T, kWidth, kSpan>;
  using Base::kShift;
  using Base::kWrite;
  using P = Piece<T, kWidth>;
  using S = Sum<T, kWidth>;

 public:
  using Base::Base;

  __device__ void run(int group) {
    if constexpr (kL > 1) {
      broadcast_block(group);
    } else {
      walk_any(group);
    }
  }

 private:
  /// The tokens of a level-1 block. A thread to each, rather than one that walks a coarsest window: rows of coarser levels
  /// are read by several threads of a block then, but from the cache, and all of a thread's loads wait for one round of
  /// words only.
  __device__ void broadcast_block(int block) const {
    Node words[2];
    this->template level_one_words<1>(block, words);
    Node coarser[kL];
    int parent = block;
#pragma unroll
    for (int level = 2; level < kL; ++level) {
      parent /= kP;
      coarser[level] = this->node(level, parent - kShift);
    }
    P own[kP];
#pragma unroll
    for (int c = 0; c < kP; ++c) own[c] = read_own(block * kP + c - kShift, c, words[1], words[0]);
    S sum;
    sum.clear();
#pragma unroll
    for (int level = kL - 1; level >= 2; --level) sum.add(read_entry(coarser[level]), this->weight(level));
    sum.add(read_entry(this->entry_word(words[1], words[0])), this->weight(1));
#pragma unroll
    for (int c = 0; c < kP; ++c) put(block * kP + c - kShift, sum, own[c]);
  }

  /// The same for any number of levels and any pooling factor: partial sums, renewed from the coarsest level that changes.
  __device__ void walk_any(int group) const {
    const SmallPyramid& p = this->pyramid();
    S sums[SmallPyramid::kMaxLevels + 1];
    sums[p.num_levels].clear();
    const int length = p.window_length[p.num_levels - 1];
    const int begin = group * length;
    const int end = min(begin + length, p.num_tokens + kShift);
    for (int t = begin; t < end; ++t) {
      int changed = 0;
      while (changed + 1 < p.num_levels && (t == begin || t % p.window_length[changed + 1] == 0)) ++changed;
      for (int level = changed; level >= 1; --level) {
        sums[level] = sums[level + 1];
        add_entry(level, t / p.window_length[level] - kShift, sums[level]);
      }
      const bool has_levels = p.num_levels > 1;
      const int block = t / p.pooling_factor;
      const Node current = has_levels ? this->node(1, block) : kNotRetained;
      const Node before = kWrite && has_levels ? this->node(1, block - 1) : kNotRetained;
      put(t - kShift, sums[1], read_own(t - kShift, t - block * p.pooling_factor, current, before));
    }
  }

  /// The row of an entry that counts, else zeros.
  __device__ P read_entry(Node word) const {
    return this->counts(word) ? load<T, kWidth>(this->row(word >> kRankShift)) : zero_piece<T, kWidth>();
  }

  __device__ void add_entry(int level, int entry, S& sum) const {
    const Node word = this->node(level, entry);
    if (this->counts(word)) sum.add(load<T, kWidth>(this->row(word >> kRankShift)), this->weight(level));
  }

  __device__ P read_own(int index, int c, Node current, Node before) const {
    if (index < 0 || index >= this->pyramid().num_tokens) return zero_piece<T, kWidth>();
    const auto own = this->own_in_block(index, c, current, before);
    return own.rank >= 0 && own.counts ? load<T, kWidth>(this->row(own.rank)) : zero_piece<T, kWidth>();
  }

  __device__ void put(int index, const S& base, const P& own) const {
    if (index < 0 || index >= this->pyramid().num_tokens) return;
    S sum = base;
    sum.add(own);
    store_once<T, kWidth>(this->token(index), sum.rounded(1));
  }
};

template <typename T, int kWidth, Span kSpan, int kP, int kL>
__global__ void __launch_bounds__(kWindowThreads, LIGHTHOUSE_BROADCAST_BLOCKS) broadcast_kernel(const __grid_constant__ WindowLaunch w) {
  for_each_walk<kWidth>(w, [&](int group, int batch, int head, int element) {
    Broadcast<T, kWidth, kSpan, kP, kL>(w, head_rows<T>(w, batch, head), element).run(group);
  });
}

template <typename T, int kWidth, Span kSpan, int kP, int kL>
struct BroadcastKernel {
  static auto get() { return &broadcast_kernel<T, kWidth, kSpan, kP, kL>; }
  /// A walk's share: a block of level 1, or of the coarsest level.
  static int group_length(const SmallPyramid& p) { return kL > 1 ? kP : p.window_length[p.num_levels - 1]; }
};

}  // namespace

Status window_broadcast(const WindowParameters& common, const WindowArrays& arrays, Stream stream) {
  return launch_window_kernel<BroadcastKernel>(common, arrays, stream);
}

}  // namespace lighthouse::kernels::cuda
