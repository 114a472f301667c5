// The attention of one token to all keys: softmax over a piece of the context, for the pieces to be put together.
#include "kernels/cpu/simd/isa.h"
#include "kernels/cpu/simd/kernels.h"
#include "kernels/cpu/simd/row_math.h"

namespace lighthouse::kernels::cpu::LIGHTHOUSE_ISA {
namespace {

/// e^x for x <= 0, within 2e-7 of it: 2^n times a polynomial of what is left, |rest| <= ln 2 / 2. Below the smallest
/// normal number it is 0.
inline float exponential(float x) {
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLn2High = 0.693359375F;  // exact in few bits, so that n times it is exact
  constexpr float kLn2Low = -2.12194440e-4F;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: to add it rounds to a whole number
  const float clamped = x < -87.0F ? -87.0F : x;
  const float n = (clamped * kLog2E + kRound) - kRound;
  const float rest = (clamped - n * kLn2High) - n * kLn2Low;
  float value = 1.0F / 720;
  value = value * rest + 1.0F / 120;
  value = value * rest + 1.0F / 24;
  value = value * rest + 1.0F / 6;
  value = value * rest + 0.5F;
  value = value * rest + 1.0F;
  value = value * rest + 1.0F;
  const int32_t power = (static_cast<int32_t>(n) + 127) << 23;
  const float result = value * __builtin_bit_cast(float, power);
  return x < -87.0F ? 0.0F : result;
}

constexpr int64_t kLanes = 16;

/// Of kTokensPerPiece numbers.
inline float largest(const float* x) {
  float lane[kLanes];
  for (int64_t j = 0; j < kLanes; ++j) lane[j] = x[j];
  for (int64_t i = kLanes; i < kTokensPerPiece; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
  }
  float best = lane[0];
  for (int64_t j = 1; j < kLanes; ++j) best = lane[j] > best ? lane[j] : best;
  return best;
}

/// Of kTokensPerPiece numbers.
inline float sum(const float* x) {
  float lane[kLanes] = {};
  for (int64_t i = 0; i < kTokensPerPiece; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) lane[j] += x[i + j];
  }
  return sum_lanes<kLanes / 2>(lane);
}

/// out[d] = sum of weights[i] * rows[i][d], four rows at a time.
template <typename T>
inline void weighted_sum(const T* rows, int64_t stride, int64_t count, const float* weights, int64_t dim,
                         float* __restrict out) {
  for (int64_t d = 0; d < dim; ++d) out[d] = 0;
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const T *a = rows + i * stride, *b = a + stride, *c = b + stride, *e = c + stride;
    const float wa = weights[i], wb = weights[i + 1], wc = weights[i + 2], we = weights[i + 3];
    for (int64_t d = 0; d < dim; ++d)
      out[d] += (wa * load(a[d]) + wb * load(b[d])) + (wc * load(c[d]) + we * load(e[d]));
  }
  for (; i < count; ++i) {
    for (int64_t d = 0; d < dim; ++d) out[d] += weights[i] * load(rows[i * stride + d]);
  }
}

/// One query head's part: largest score, sum of weights, weighted sum of values.
template <typename T>
void attend(const T* key, const T* value, int64_t count, const TokenAttentionParameters& p, const float* query,
            float* __restrict weights, float* part) {
  for (int64_t i = 0; i < count; ++i) weights[i] = dot<kLanes>(key + i * p.key.stride_row, query, p.head_dim) * p.scale;
  // A short piece is filled up with scores that weigh nothing.
  for (int64_t i = count; i < kTokensPerPiece; ++i) weights[i] = -__builtin_inff();
  part[0] = largest(weights);
  for (int64_t i = 0; i < kTokensPerPiece; ++i) weights[i] = exponential(weights[i] - part[0]);
  part[1] = sum(weights);
  weighted_sum(value, p.value.stride_row, count, weights, p.head_dim, part + 2);
}

template <typename T>
void attend_pieces(const TokenAttentionParameters& p, int64_t begin, int64_t end, float* scratch) {
  const int64_t pieces = (p.length + kTokensPerPiece - 1) / kTokensPerPiece;
  const int64_t group = p.heads / p.kv_heads;
  for (int64_t item = begin; item < end; ++item) {
    const int64_t kv_head = item / pieces;
    const int64_t first = item % pieces * kTokensPerPiece;
    const int64_t count = p.length - first < kTokensPerPiece ? p.length - first : kTokensPerPiece;
    const T* key = static_cast<const T*>(p.key.data) + kv_head * p.key.stride_head + first * p.key.stride_row;
    const T* value = static_cast<const T*>(p.value.data) + kv_head * p.value.stride_head + first * p.value.stride_row;
    for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      float* const part = p.parts + (head * pieces + item % pieces) * (p.head_dim + 2);
      attend(key, value, count, p, p.query + head * p.head_dim, scratch, part);
    }
  }
}

}  // namespace

void token_attention(const TokenAttentionParameters& parameters, int64_t begin, int64_t end, float* scratch) {
  switch (parameters.scalar_type) {
    case ScalarType::kFloat32: return attend_pieces<float>(parameters, begin, end, scratch);
    case ScalarType::kBFloat16: return attend_pieces<BFloat16>(parameters, begin, end, scratch);
    case ScalarType::kFloat64:
    case ScalarType::kFloat16: return;  // ops/ passes neither
  }
}

}  // namespace lighthouse::kernels::cpu::LIGHTHOUSE_ISA
