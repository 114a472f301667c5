// Window-reduce: one row per retained entry, the weighted sum of the tokens of its span. Every token is read once.
#include "kernels/cuda/window_launch.cuh"

namespace lighthouse::kernels::cuda {
namespace {

template <typename T, int kWidth, Span kSpan, int kP, int kL>
class Reduce : Walk<T, kWidth, kSpan> {
  using Base = Walk<T, kWidth, kSpan>;
  using Base::kShift;
  using Base::kWrite;
  using P = Piece<T, kWidth>;
  using S = Sum<T, kWidth>;

 public:
  using Base::Base;

  __device__ void run(int group) {
    if constexpr (kL == 2) {
      Node words[2];
      this->template level_one_words<1>(group, words);
      walk_tokens(group, words[1], words[0]);
    } else if constexpr (kL > 2) {
      walk<kL - 1>(group);
    } else {
      walk_any(group);
    }
  }

 private:
  /// The sum over a block of a level >= 2, the rows of its entries stored on the way.
  template <int kLevel>
  __device__ S walk(int block) {
    S sum;
    sum.clear();
    if constexpr (kLevel == 2) {
      Node words[kP + 1];
      this->template level_one_words<kP>(block * kP, words);
#pragma unroll
      for (int c = 0; c < kP; ++c) sum.add(walk_tokens(block * kP + c, words[c + 1], words[c]));
    } else {
#pragma unroll 1
      for (int c = 0; c < kP; ++c) sum.add(walk<kLevel - 1>(block * kP + c));
    }
    put(kLevel, block - kShift, sum);
    return sum;
  }

  /// The same for a block of level 1.
  __device__ S walk_tokens(int block, Node current, Node before) {
    P rows[kP];
#pragma unroll
    for (int c = 0; c < kP; ++c) rows[c] = read(block * kP + c - kShift);
    S sum;
    sum.clear();
#pragma unroll
    for (int c = 0; c < kP; ++c) {
      sum.add(rows[c]);
      put_token(block * kP + c - kShift, c, current, before, rows[c]);
    }
    put_word(1, this->entry_word(current, before), sum);
    return sum;
  }

  /// The same for any number of levels and any pooling factor.
  __device__ void walk_any(int group) {
    const SmallPyramid& p = this->pyramid();
    S sums[SmallPyramid::kMaxLevels];
    for (int level = 1; level < p.num_levels; ++level) sums[level].clear();
    const int length = p.window_length[p.num_levels - 1];
    const int begin = group * length;
    const int end = min(begin + length, p.num_tokens + kShift);
    // The last block may be cut short: then its entries' sums are what came, and they are put all the same.
    for (int t = begin; t < end; ++t) {
      const P row = read(t - kShift);
      const int block = t / p.pooling_factor;
      const bool has_levels = p.num_levels > 1;
      const Node current = has_levels ? this->node(1, block) : kNotRetained;
      const Node before = kWrite && has_levels ? this->node(1, block - 1) : kNotRetained;
      put_token(t - kShift, t - block * p.pooling_factor, current, before, row);
      if (!has_levels) continue;
      sums[1].add(row);
      int blocks = t + 1;
      for (int level = 1; level < p.num_levels; ++level) {
        const bool whole = blocks % p.pooling_factor == 0;
        if (!whole && t + 1 < end) break;
        blocks = (blocks + p.pooling_factor - 1) / p.pooling_factor;
        put(level, blocks - 1 - kShift, sums[level]);
        if (level + 1 < p.num_levels) sums[level + 1].add(sums[level]);
        sums[level].clear();
      }
    }
  }

  __device__ P read(int index) const {
    return index >= 0 && index < this->pyramid().num_tokens ? load_once<T, kWidth>(this->token(index))
                                                            : zero_piece<T, kWidth>();
  }

  __device__ void put_token(int index, int c, Node current, Node before, const P& row) const {
    if (index < 0 || index >= this->pyramid().num_tokens) return;
    const auto own = this->own_in_block(index, c, current, before);
    if (own.rank >= 0) store<T, kWidth>(this->row(own.rank), own.counts ? row : zero_piece<T, kWidth>());
  }

  __device__ void put(int level, int entry, const S& sum) const { put_word(level, this->node(level, entry), sum); }

  __device__ void put_word(int level, Node word, const S& sum) const {
    if (word == kNotRetained) return;
    store<T, kWidth>(this->row(word >> kRankShift),
                     this->counts(word) ? sum.rounded(this->weight(level)) : zero_piece<T, kWidth>());
  }
};

/// Small blocks again: a block gives its place to the next as soon as two warps are done. The cap on registers spills a
/// few words and is worth it: the multiprocessor holds 20 warps in place of 16.
constexpr int kPieceBytes = 16;
constexpr int kThreads = 64;
constexpr int kBlocks = 10;  // per multiprocessor

template <typename T, int kWidth, Span kSpan, int kP, int kL>
__global__ void __launch_bounds__(kThreads, kBlocks) reduce_kernel(const __grid_constant__ WindowLaunch w) {
  for_each_walk<kWidth>(w, [&](int group, int batch, int head, int element) {
    Reduce<T, kWidth, kSpan, kP, kL>(w, head_rows<T>(w, batch, head), element).run(group);
  });
}

template <typename T, int kWidth, Span kSpan, int kP, int kL>
struct ReduceKernel {
  static auto get() { return &reduce_kernel<T, kWidth, kSpan, kP, kL>; }
  /// A walk's share: a block of the coarsest level.
  static int group_length(const SmallPyramid& p) { return p.window_length[p.num_levels - 1]; }
};

}  // namespace

Status window_reduce(const WindowParameters& common, const WindowArrays& arrays, Stream stream) {
  return launch_window_kernel<kPieceBytes, kThreads, ReduceKernel>(common, arrays, stream);
}

}  // namespace lighthouse::kernels::cuda
