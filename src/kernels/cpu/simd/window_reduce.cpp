// Window-reduce: one row per retained entry, the weighted sum of the tokens of its span. Walks each coarsest window's
// tree children first, so that a parent's sum finds its tokens in the cache.
#include "kernels/cpu/simd/isa.h"
#include "kernels/cpu/simd/kernels.h"
#include "kernels/cpu/simd/row_math.h"

namespace lighthouse::kernels::cpu::LIGHTHOUSE_ISA {
namespace {

template <typename T>
class Reducer {
 public:
  Reducer(const WindowParameters& w, int64_t batch, int64_t head, void* scratch)
      : w_(w),
        p_(w.pyramid),
        nodes_(w.nodes + (batch * w.kv_heads + head / (w.heads / w.kv_heads)) * p_.num_nodes),
        tokens_(static_cast<const T*>(w.tokens.data) + batch * w.tokens.stride_batch + head * w.tokens.stride_head),
        retained_(static_cast<T*>(w.retained.data) + batch * w.retained.stride_batch + head * w.retained.stride_head),
        sum_(static_cast<Accumulator<T>*>(scratch)) {}

  void subtree(int64_t level, int64_t window) {
    const Node node = nodes_[p_.node_offset[level] + window];
    const int64_t rank = node >> kRankShift;
    const int64_t p = p_.pooling_factor;
    if ((node & kExpanded) != 0) {
      if (level == 1) {
        copy_tokens(window * p, p, rank - p, (node & kChildrenWrite) != 0);
      } else {
        for (int64_t child = window * p; child < (window + 1) * p; ++child) subtree(level - 1, child);
      }
    }
    pool(level, window, rank, (node & kWrites) != 0);
  }

  /// A token's span is itself, with weight 1, in either direction.
  void copy_tokens(int64_t token, int64_t count, int64_t rank, bool write) {
    for (int64_t i = 0; i < count; ++i) {
      const T* __restrict from = tokens_ + (token + i) * w_.tokens.stride_row;
      T* __restrict to = retained_ + (rank + i) * w_.retained.stride_row;
      if (w_.span == Span::kWindow || write) {
        for (int64_t d = 0; d < w_.head_dim; ++d) to[d] = from[d];
      } else {
        clear(to);
      }
    }
  }

 private:
  void clear(T* __restrict row) {
    for (int64_t d = 0; d < w_.head_dim; ++d) row[d] = T{};
  }

  void pool(int64_t level, int64_t window, int64_t rank, bool writes) {
    using A = Accumulator<T>;
    T* __restrict to = retained_ + rank * w_.retained.stride_row;
    if (w_.span == Span::kWriteRange && !writes) return clear(to);
    const int64_t length = p_.window_length[level];
    int64_t first = window * length;
    int64_t count = length;
    A weight_inverse = static_cast<A>(length);
    if (w_.span == Span::kWriteRange) {
      first += length - 1;
      count = first + length <= p_.num_tokens ? length : p_.num_tokens - first;
      weight_inverse = 1;
    }
    sum_rows(tokens_ + first * w_.tokens.stride_row, w_.tokens.stride_row, count, w_.head_dim, sum_,
             sum_ + w_.head_dim);
    const A* __restrict sum = sum_;
    for (int64_t d = 0; d < w_.head_dim; ++d) store(&to[d], sum[d] / weight_inverse);
  }

  const WindowParameters& w_;
  const Pyramid& p_;
  const Node* nodes_;
  const T* tokens_;
  T* retained_;
  Accumulator<T>* sum_;  // one row, then what sum_rows needs
};

template <typename T>
void reduce(const WindowParameters& w, int64_t begin, int64_t end, void* scratch) {
  const Pyramid& p = w.pyramid;
  const int64_t tail = p.num_tokens - p.tail_begin;
  const int64_t items = p.num_coarsest_windows + (tail + kTailRowsPerItem - 1) / kTailRowsPerItem;
  while (begin < end) {
    const int64_t head = begin / items;
    int64_t item = begin % items;
    const int64_t head_end = end < (head + 1) * items ? end - head * items : items;
    begin += head_end - item;
    Reducer<T> reducer(w, head / w.heads, head % w.heads, scratch);
    for (; item < head_end && item < p.num_coarsest_windows; ++item) reducer.subtree(p.num_levels - 1, item);
    for (; item < head_end; ++item) {
      const int64_t first = (item - p.num_coarsest_windows) * kTailRowsPerItem;
      const int64_t count = tail - first < kTailRowsPerItem ? tail - first : kTailRowsPerItem;
      reducer.copy_tokens(p.tail_begin + first, count, p.tail_rank + first, true);
    }
  }
}

}  // namespace

void window_reduce(const WindowParameters& parameters, int64_t begin, int64_t end, void* scratch) {
  switch (parameters.scalar_type) {
    case ScalarType::kFloat32: return reduce<float>(parameters, begin, end, scratch);
    case ScalarType::kBFloat16: return reduce<BFloat16>(parameters, begin, end, scratch);
    case ScalarType::kFloat64: return reduce<double>(parameters, begin, end, scratch);
    case ScalarType::kFloat16: return;  // ops/ refuses it
  }
}

}  // namespace lighthouse::kernels::cpu::LIGHTHOUSE_ISA
