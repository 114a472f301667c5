// Norms of rows to the maxima of level-1 windows.
#include "kernels/cpu/simd/isa.h"
#include "kernels/cpu/simd/kernels.h"
#include "kernels/cpu/simd/row_math.h"

namespace lighthouse::kernels::cpu::LIGHTHOUSE_ISA {
namespace {

/// Max over a group's heads and a window's tokens of the squared norm; NaN only where all of them are.
template <typename T>
double window_maximum(const T* rows, int64_t heads, int64_t stride_head, int64_t tokens, int64_t stride_row,
                      int64_t dim) {
  double best = __builtin_nan("");
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t token = 0; token < tokens; ++token) {
      const double square = squared_norm(rows + head * stride_head + token * stride_row, dim);
      if (!(square <= best) && square == square) best = square;
    }
  }
  return best;
}

template <typename T>
void score_windows(const ScoreParameters& s, int64_t begin, int64_t end) {
  const Pyramid& p = s.pyramid;
  const int64_t windows = p.num_windows[1];
  const int64_t length = p.window_length[1];
  const int64_t group = s.query_heads / s.kv_heads;
  for (int64_t item = begin; item < end; ++item) {
    const int64_t tree = item / windows;
    const int64_t window = item % windows;
    const int64_t batch = tree / s.kv_heads;
    const int64_t kv_head = tree % s.kv_heads;
    const T* query = static_cast<const T*>(s.query.data) + batch * s.query.stride_batch +
                     kv_head * group * s.query.stride_head + window * length * s.query.stride_row;
    const T* key = static_cast<const T*>(s.key.data) + batch * s.key.stride_batch + kv_head * s.key.stride_head +
                   window * length * s.key.stride_row;
    const double query_square =
        window_maximum(query, group, s.query.stride_head, length, s.query.stride_row, s.head_dim);
    const double key_square = window_maximum(key, 1, 0, length, s.key.stride_row, s.head_dim);
    // The root is monotone, so the root of the largest square is the largest norm: one root a window, not one a token.
    const int64_t node = tree * p.num_nodes + p.node_offset[1] + window;
    s.query_scores[node] = static_cast<float>(__builtin_sqrt(query_square));
    s.key_scores[node] = static_cast<float>(__builtin_sqrt(key_square));
  }
}

}  // namespace

void score(const ScoreParameters& parameters, int64_t begin, int64_t end) {
  switch (parameters.scalar_type) {
    case ScalarType::kFloat32: return score_windows<float>(parameters, begin, end);
    case ScalarType::kBFloat16: return score_windows<BFloat16>(parameters, begin, end);
    case ScalarType::kFloat64: return score_windows<double>(parameters, begin, end);
    case ScalarType::kFloat16: return;  // ops/ refuses it
  }
}

}  // namespace lighthouse::kernels::cpu::LIGHTHOUSE_ISA
