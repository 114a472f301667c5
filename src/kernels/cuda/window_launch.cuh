// What window-reduce and window-broadcast share: parameters, the walk's coordinates, the choice of a kernel.
//
// A level's spans tile the sequence, whichever the span: entry i of a level of length n pools tokens [i n, (i + 1) n)
// and writes to [(i + 1) n - 1, (i + 2) n - 1). With t = token + 1 for the write range, and t = token for the window,
// the span is the i'th, or (i + 1)'th, block of n in t. So both are one walk over blocks of t, from the coarsest level
// down, in which entry = block - kShift and token = t - kShift.
#pragma once

#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/rows.cuh"

namespace lighthouse::kernels::cuda {

struct WindowLaunch {
  SmallPyramid pyramid;
  const Node* nodes;  // [batch, kv_heads, num_nodes]
  int batch;
  int kv_heads;
  int pieces;  // of a row
  int groups;  // walks over a head, each over a block of some level in t
  int num_arrays;
  int first_head[WindowArrays::kMost + 1];  // of each array among all heads; the last is their number
  Rows tokens[WindowArrays::kMost];
  Rows retained[WindowArrays::kMost];
};

/// One head of one array.
template <typename T>
struct HeadRows {
  const Node* nodes;
  T* tokens;
  T* retained;
  int64_t token_stride;
  int64_t retained_stride;
};

template <typename T>
__device__ HeadRows<T> head_rows(const WindowLaunch& w, int batch, int head) {
  int array = 0;
  while (array + 1 < w.num_arrays && head >= w.first_head[array + 1]) ++array;
  const int own = head - w.first_head[array];
  const int per_tree = (w.first_head[array + 1] - w.first_head[array]) / w.kv_heads;
  const Rows& tokens = w.tokens[array];
  const Rows& retained = w.retained[array];
  return {w.nodes + (static_cast<int64_t>(batch) * w.kv_heads + own / per_tree) * w.pyramid.num_nodes,
          static_cast<T*>(tokens.data) + batch * tokens.stride_batch + own * tokens.stride_head,
          static_cast<T*>(retained.data) + batch * retained.stride_batch + own * retained.stride_head,
          tokens.stride_row, retained.stride_row};
}

/// The walk of one thread over one block of the coarsest level. kP and kL: pooling factor and levels, or 0 where they
/// are known at run time only.
template <typename T, int kWidth, Span kSpan>
class Walk {
 public:
  static constexpr bool kWrite = kSpan == Span::kWriteRange;
  static constexpr int kShift = kWrite ? 1 : 0;

  __device__ Walk(const WindowLaunch& w, const HeadRows<T>& rows, int first_element)
      : p_(w.pyramid), rows_(rows), element_(first_element) {}

 protected:
  __device__ const SmallPyramid& pyramid() const { return p_; }

  __device__ T* token(int index) const { return rows_.tokens + index * rows_.token_stride + element_; }
  __device__ T* row(int rank) const {
    return rows_.retained + bounded_rank(p_, rank) * rows_.retained_stride + element_;
  }

  /// The word of a level's entry, kNotRetained where there is no such entry.
  __device__ Node node(int level, int entry) const {
    return entry >= 0 && entry < p_.num_windows[level] ? __ldg(rows_.nodes + p_.node_offset[level] + entry)
                                                       : kNotRetained;
  }

  /// The rank of a token's own row and whether it counts, given its level-1 window's word and its place there.
  struct Own {
    int rank;  // -1: the token is not retained by itself
    bool counts;
  };
  __device__ Own own(int index, Node parent, int place) const {
    if (index >= p_.tail_begin) return {p_.tail_rank + index - p_.tail_begin, true};
    if (parent == kNotRetained || (parent & kExpanded) == 0) return {-1, false};
    return {(parent >> kRankShift) - p_.pooling_factor + place, !kWrite || (parent & kChildrenWrite) != 0};
  }

  /// The same for place `c` of a level-1 block in t; `current` and `before` are the words of the windows of that number
  /// and of the one before.
  __device__ Own own_in_block(int index, int c, Node current, Node before) const {
    if (!kWrite) return own(index, current, c);
    return c == 0 ? own(index, before, p_.pooling_factor - 1) : own(index, current, c - 1);
  }

  /// The word of a level-1 block's own entry, from those of the window of that number and of the one before.
  __device__ static Node entry_word(Node current, Node before) { return kWrite ? before : current; }

  /// Words of the windows [first - 1, first + kCount) of level 1: loaded together, so that one wait serves all.
  template <int kCount>
  __device__ void level_one_words(int first, Node (&words)[kCount + 1]) const {
#pragma unroll
    for (int c = kWrite ? 0 : 1; c <= kCount; ++c) words[c] = node(1, first - 1 + c);
    if (!kWrite) words[0] = kNotRetained;
  }

  __device__ bool counts(Node word) const { return word != kNotRetained && (!kWrite || (word & kWrites) != 0); }
  __device__ Accumulator<T> weight(int level) const {
    return kWrite ? Accumulator<T>(1) : Accumulator<T>(1) / static_cast<Accumulator<T>>(p_.window_length[level]);
  }

 private:
  const SmallPyramid& p_;
  const HeadRows<T> rows_;
  const int element_;
};

/// Threads: x takes the pieces of a row, y the walks.
inline dim3 window_block(const WindowLaunch& w, int threads) {
  const int x = std::min(w.pieces, threads);
  return dim3(x, std::max(1, threads / x));
}

inline dim3 window_grid(const WindowLaunch& w, const dim3& block) {
  constexpr int kMostInY = 65535;
  return dim3(static_cast<unsigned>(ceil_div(w.groups, block.y)),
              static_cast<unsigned>(std::min(w.first_head[w.num_arrays], kMostInY)),
              static_cast<unsigned>(std::min(w.batch, kMostInY)));
}

/// Calls body(walk's group, batch, head, first element) for this thread's share.
template <int kWidth, typename Body>
__device__ void for_each_walk(const WindowLaunch& w, const Body& body) {
  const int group = blockIdx.x * blockDim.y + threadIdx.y;
  if (group >= w.groups) return;
  if (group == w.groups - 1 && blockIdx.y == 0 && blockIdx.z == 0) {
    for (int tree = threadIdx.x; tree < w.batch * w.kv_heads; tree += blockDim.x) {
      check_tree(w.pyramid, w.nodes + static_cast<int64_t>(tree) * w.pyramid.num_nodes);
    }
  }
  for (int batch = blockIdx.z; batch < w.batch; batch += gridDim.z) {
    for (int head = blockIdx.y; head < w.first_head[w.num_arrays]; head += gridDim.y) {
      for (int piece = threadIdx.x; piece < w.pieces; piece += blockDim.x) body(group, batch, head, piece * kWidth);
    }
  }
}

/// Fills a launch and makes it with the kernel for the element type, the piece's width, the span, and p and L where
/// there is one for them (else kP = kL = 0). A kernel says how many tokens a walk is over.
template <int kPieceBytes, int kThreads, template <typename T, int kWidth, Span kSpan, int kP, int kL> typename Kernel>
Status launch_window_kernel(const WindowParameters& common, const WindowArrays& arrays, Stream stream) {
  WindowLaunch w{};
  w.pyramid = small(common.pyramid);
  w.nodes = common.nodes;
  w.batch = static_cast<int>(common.batch);
  w.kv_heads = static_cast<int>(common.kv_heads);
  w.num_arrays = arrays.count;
  const int64_t shift = common.span == Span::kWriteRange ? 1 : 0;
  bool wide = true;
  return for_type(common.scalar_type, [&](auto* type) -> Status {
    using T = std::remove_pointer_t<decltype(type)>;
    constexpr int kWidth = kPieceBytes / sizeof(T);
    for (int i = 0; i < arrays.count; ++i) {
      const auto& array = arrays.arrays[i];
      w.first_head[i + 1] = w.first_head[i] + static_cast<int>(array.heads);
      w.tokens[i] = array.tokens;
      w.retained[i] = array.retained;
      for (const Rows& rows : {array.tokens, array.retained}) wide &= fits_pieces(rows, common.head_dim, sizeof(T));
    }
    if (w.batch == 0 || w.first_head[arrays.count] == 0 || common.pyramid.num_tokens == 0) return nullptr;
    w.pieces = static_cast<int>(wide ? common.head_dim / kWidth : common.head_dim);
    const auto launch = [&](auto kernel) -> Status {
      w.groups = static_cast<int>(ceil_div(common.pyramid.num_tokens + shift, kernel.group_length(w.pyramid)));
      const dim3 block = window_block(w, kThreads);
      return launch_kernel(kernel.get(), window_grid(w, block), block, stream, w);
    };
    const auto with_span = [&](auto span) -> Status {
      constexpr Span kSpan = decltype(span)::value;
      if (!wide) return launch(Kernel<T, 1, kSpan, 0, 0>{});
      if constexpr (sizeof(T) <= 4) {
        const int p = w.pyramid.pooling_factor;
        const int levels = w.pyramid.num_levels;
        if (p == 4 && levels == 2) return launch(Kernel<T, kWidth, kSpan, 4, 2>{});
        if (p == 4 && levels == 3) return launch(Kernel<T, kWidth, kSpan, 4, 3>{});
        if (p == 4 && levels == 4) return launch(Kernel<T, kWidth, kSpan, 4, 4>{});
        if (p == 2 && levels == 3) return launch(Kernel<T, kWidth, kSpan, 2, 3>{});
      }
      return launch(Kernel<T, kWidth, kSpan, 0, 0>{});
    };
    return common.span == Span::kWriteRange ? with_span(std::integral_constant<Span, Span::kWriteRange>{})
                                            : with_span(std::integral_constant<Span, Span::kWindow>{});
  });
}

}  // namespace lighthouse::kernels::cuda
