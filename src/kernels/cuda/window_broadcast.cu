// Window-broadcast: one row per token, the weighted sum of the retained entries whose span holds it, coarse to fine.
// Every token's row is written once.
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
      broadcast_unit(group);
    } else {
      walk_any(group);
    }
  }

 private:
  /// The tokens of kP level-1 blocks, a block of level 2. Two waits in a row and no more: for all words, then for all
  /// rows of windows. Most blocks have no tokens of their own, and are one piece stored kP times.
  __device__ void broadcast_unit(int unit) const {
    Node words[kP + 1];
    this->template level_one_words<kP>(unit * kP, words);
    Node coarser[kL];
    int parent = unit;
#pragma unroll
    for (int level = 2; level < kL; ++level) {
      coarser[level] = this->node(level, parent - kShift);
      parent /= kP;
    }
    P rows[kL];
#pragma unroll
    for (int level = kL - 1; level >= 2; --level) rows[level] = read_entry(coarser[level]);
    S outer;
    outer.clear();
#pragma unroll
    for (int level = kL - 1; level >= 2; --level) outer.add(rows[level], this->weight(level));
    Node before = words[0];
    Node current = words[1];
    P row = read_entry(this->entry_word(current, before));
    // Rolled: unrolled, it takes twice the registers. The next block's row is on its way while this one's tokens are
    // stored.
#pragma unroll 1
    for (int c = 0; c < kP; ++c) {
      const Node next = c + 1 < kP ? words[2] : kNotRetained;
#pragma unroll
      for (int i = 2; i < kP; ++i) words[i] = words[i + 1];
      const P next_row = read_entry(this->entry_word(next, current));
      S sum = outer;
      sum.add(row, this->weight(1));
      put_block(unit * kP + c, current, before, sum);
      before = current;
      current = next;
      row = next_row;
    }
  }

  /// The tokens of a level-1 block, given the sum of all coarser levels.
  __device__ void put_block(int block, Node current, Node before, const S& sum) const {
    const int first = block * kP - kShift;
    const bool whole = first >= 0 && first + kP <= this->pyramid().tail_begin;
    if (whole && !has_own(current) && !(kWrite && has_own(before))) {
      const P row = sum.rounded(1);
#pragma unroll
      for (int c = 0; c < kP; ++c) store_once<T, kWidth>(this->token(first + c), row);
      return;
    }
    P own[kP];
#pragma unroll
    for (int c = 0; c < kP; ++c) own[c] = read_own(first + c, c, current, before);
#pragma unroll
    for (int c = 0; c < kP; ++c) put(first + c, sum, own[c]);
  }

  __device__ static bool has_own(Node word) { return word != kNotRetained && (word & kExpanded) != 0; }

  /// The same for any number of levels and any pooling factor: partial sums, renewed from the coarsest level that
  /// changes.
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

/// Small blocks of narrow pieces. A warp then has one walk, so that its branches do not part its lanes; a block gives
/// its place to the next as soon as two warps are done; and 64 registers a thread are enough, for half of the chip's
/// threads. Measured at 98,304 tokens on an H100, against 16-byte pieces in blocks of 256 with plain stores: 1.19 times
/// the floor in place of 1.37.
constexpr int kPieceBytes = 8;
constexpr int kThreads = 64;
constexpr int kBlocks = 16;  // per multiprocessor

template <typename T, int kWidth, Span kSpan, int kP, int kL>
__global__ void __launch_bounds__(kThreads, kBlocks) broadcast_kernel(const __grid_constant__ WindowLaunch w) {
  for_each_walk<kWidth>(w, [&](int group, int batch, int head, int element) {
    Broadcast<T, kWidth, kSpan, kP, kL>(w, head_rows<T>(w, batch, head), element).run(group);
  });
}

template <typename T, int kWidth, Span kSpan, int kP, int kL>
struct BroadcastKernel {
  static auto get() { return &broadcast_kernel<T, kWidth, kSpan, kP, kL>; }
  /// A walk's share: a block of level 2, or of the coarsest level.
  static int group_length(const SmallPyramid& p) { return kL > 1 ? kP * kP : p.window_length[p.num_levels - 1]; }
};

}  // namespace

Status window_broadcast(const WindowParameters& common, const WindowArrays& arrays, Stream stream) {
  return launch_window_kernel<kPieceBytes, kThreads, BroadcastKernel>(common, arrays, stream);
}

}  // namespace lighthouse::kernels::cuda
