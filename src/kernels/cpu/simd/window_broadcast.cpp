// Window-broadcast: one row per token, the weighted sum of the retained entries whose span holds it.
//
// Spans of one level tile the sequence, and where a level's entry changes so do those of all finer levels. So the sum
// over levels >= 1 is kept as partial sums, coarse to fine, and renewed from the coarsest level that changes.
#include "kernels/cpu/simd/isa.h"
#include "kernels/cpu/simd/kernels.h"
#include "kernels/cpu/simd/row_math.h"

namespace lighthouse::kernels::cpu::LIGHTHOUSE_ISA {
namespace {

template <typename T>
class Broadcaster {
 public:
  using A = Accumulator<T>;

  Broadcaster(const WindowParameters& w, int64_t batch, int64_t head, void* scratch)
      : w_(w),
        p_(w.pyramid),
        write_(w.span == Span::kWriteRange),
        nodes_(w.nodes + (batch * w.kv_heads + head / (w.heads / w.kv_heads)) * p_.num_nodes),
        tokens_(static_cast<T*>(w.tokens.data) + batch * w.tokens.stride_batch + head * w.tokens.stride_head),
        retained_(static_cast<const T*>(w.retained.data) + batch * w.retained.stride_batch +
                  head * w.retained.stride_head),
        partial_(static_cast<A*>(scratch)) {}

  void run(int64_t begin, int64_t end) {
    const int64_t levels = p_.num_levels;
    if (begin < end && levels > 1) renew(begin, levels - 1);
    for (int64_t token = begin; token < end; ++token) {
      if (token != begin && levels > 1 && changes(1, token)) {
        int64_t coarsest = 1;
        while (coarsest + 1 < levels && changes(coarsest + 1, token)) ++coarsest;
        renew(token, coarsest);
      }
      put(token, token_row(token));
    }
  }

 private:
  /// Whether the entry of `level` that holds `token` differs from the one that holds the token before.
  bool changes(int64_t level, int64_t token) const { return (token + (write_ ? 1 : 0)) % p_.window_length[level] == 0; }

  const T* row(int64_t rank) const { return retained_ + rank * w_.retained.stride_row; }

  /// The row of the entry of level >= 1 whose span holds the token, or null.
  const T* entry_row(int64_t level, int64_t token) const {
    const int64_t length = p_.window_length[level];
    const int64_t shifted = write_ ? token - (length - 1) : token;
    if (shifted < 0) return nullptr;
    const int64_t window = shifted / length;
    if (window >= p_.num_windows[level]) return nullptr;
    const Node node = nodes_[p_.node_offset[level] + window];
    if (node == kNotRetained || (write_ && (node & kWrites) == 0)) return nullptr;
    return row(node >> kRankShift);
  }

  const T* token_row(int64_t token) const {
    if (token >= p_.tail_begin) return row(p_.tail_rank + token - p_.tail_begin);
    const int64_t p = p_.pooling_factor;
    const Node parent = nodes_[p_.node_offset[1] + token / p];
    if (parent == kNotRetained || (parent & (write_ ? kChildrenWrite : kExpanded)) == 0) return nullptr;
    return row((parent >> kRankShift) - p + token % p);
  }

  /// Partial sums of `coarsest` and all finer levels; base_ is the finest of them, null where no entry holds the token.
  void renew(int64_t token, int64_t coarsest) {
    for (int64_t level = coarsest; level >= 1; --level) {
      const A* above = level + 1 < p_.num_levels ? sums_[level + 1] : nullptr;
      const T* __restrict entry = entry_row(level, token);
      if (entry == nullptr) {
        sums_[level] = above;
        continue;
      }
      A* __restrict sum = partial_ + (level - 1) * w_.head_dim;
      const A weight = write_ ? A{1} : A{1} / static_cast<A>(p_.window_length[level]);
      if (above == nullptr) {
        for (int64_t d = 0; d < w_.head_dim; ++d) sum[d] = weight * load(entry[d]);
      } else {
        for (int64_t d = 0; d < w_.head_dim; ++d) sum[d] = above[d] + weight * load(entry[d]);
      }
      sums_[level] = sum;
    }
    base_ = sums_[1];
  }

  void put(int64_t token, const T* __restrict own) {
    T* __restrict to = tokens_ + token * w_.tokens.stride_row;
    const A* __restrict base = base_;
    const int64_t dim = w_.head_dim;
    if (base == nullptr && own == nullptr) {
      for (int64_t d = 0; d < dim; ++d) to[d] = T{};
    } else if (base == nullptr) {
      for (int64_t d = 0; d < dim; ++d) to[d] = own[d];
    } else if (own == nullptr) {
      for (int64_t d = 0; d < dim; ++d) store(&to[d], base[d]);
    } else {
      for (int64_t d = 0; d < dim; ++d) store(&to[d], base[d] + load(own[d]));
    }
  }

  const WindowParameters& w_;
  const Pyramid& p_;
  const bool write_;
  const Node* nodes_;
  T* tokens_;
  const T* retained_;
  A* partial_;                               // a row per level >= 1
  const A* sums_[Pyramid::kMaxLevels] = {};  // the partial sum down to each level, or null
  const A* base_ = nullptr;
};

template <typename T>
void broadcast(const WindowParameters& w, int64_t begin, int64_t end, void* scratch) {
  const int64_t tokens = w.pyramid.num_tokens;
  while (begin < end) {
    const int64_t head = begin / tokens;
    const int64_t first = begin % tokens;
    const int64_t last = end < (head + 1) * tokens ? end - head * tokens : tokens;
    Broadcaster<T>(w, head / w.heads, head % w.heads, scratch).run(first, last);
    begin += last - first;
  }
}

}  // namespace

void window_broadcast(const WindowParameters& parameters, int64_t begin, int64_t end, void* scratch) {
  switch (parameters.scalar_type) {
    case ScalarType::kFloat32: return broadcast<float>(parameters, begin, end, scratch);
    case ScalarType::kBFloat16: return broadcast<BFloat16>(parameters, begin, end, scratch);
    case ScalarType::kFloat64: return broadcast<double>(parameters, begin, end, scratch);
    case ScalarType::kFloat16: return;  // ops/ refuses it
  }
}

}  // namespace lighthouse::kernels::cpu::LIGHTHOUSE_ISA
