// Rotary embedding of queries and keys, and the scores of what it stored: one pass, where rotating takes one anyway.
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/scoring.cuh"

namespace lighthouse::kernels::cuda {
namespace {

struct RotaryLaunch {
  SmallPyramid pyramid;
  int num_tokens;
  int trees;
  int kv_heads;
  int group;          // query heads per key/value head
  int half_pieces;    // of half a row
  int unit_windows;   // level-1 windows that a team walks
  int window_length;  // tokens of one of them
  Rows query, key, rotated_query, rotated_key;
  const float* cos;  // [num_tokens, head_dim / 2]
  const float* sin;
  int64_t cos_stride, sin_stride;
  float sign;  // of the sines
  float* query_scores;
  float* key_scores;
};

constexpr int kThreads = 128;
constexpr int kRows = 2;  // rotated together by a team, so that their loads overlap

/// Rows of a table of angles in pieces of as many values as a row's.
template <int kWidth>
__device__ void load_angles(const float* address, float (&values)[kWidth]) {
  if constexpr (kWidth % 4 == 0) {
#pragma unroll
    for (int i = 0; i < kWidth; i += 4) {
      const float4 four = __ldg(reinterpret_cast<const float4*>(address + i));
      values[i] = four.x, values[i + 1] = four.y, values[i + 2] = four.z, values[i + 3] = four.w;
    }
  } else {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) values[i] = __ldg(address + i);
  }
}

/// The rows of one head that a team rotates: tokens tokens[r], of which those that are `stored` are written. With
/// kScores also their norms.
template <typename T, int kWidth, bool kScores>
__device__ void rotate(const RotaryLaunch& s, const T* from, int64_t from_stride, T* to, int64_t to_stride,
                       const int (&tokens)[kRows], const bool (&stored)[kRows], float (&norm)[kRows]) {
  using A = Accumulator<T>;
  const int half = s.half_pieces * kWidth;
#pragma unroll
  for (int r = 0; r < kRows; ++r) norm[r] = 0;
  for (int piece = threadIdx.x; piece < s.half_pieces; piece += blockDim.x) {
    const int element = piece * kWidth;
    Piece<T, kWidth> first[kRows], second[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const T* const row = from + tokens[r] * from_stride + element;
      first[r] = load_once<T, kWidth>(row);
      second[r] = load_once<T, kWidth>(row + half);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      float cosines[kWidth], sines[kWidth];
      load_angles(s.cos + tokens[r] * s.cos_stride + element, cosines);
      load_angles(s.sin + tokens[r] * s.sin_stride + element, sines);
      float first_square = 0, second_square = 0;
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        const A x = widen(first[r].values[i]), y = widen(second[r].values[i]);
        const A cosine = cosines[i], sine = s.sign * sines[i];
        first[r].values[i] = narrow<T>(x * cosine - y * sine);
        second[r].values[i] = narrow<T>(y * cosine + x * sine);
        // Of the values as they are stored: what the score kernel would read.
        const auto a = static_cast<float>(widen(first[r].values[i])),
                   b = static_cast<float>(widen(second[r].values[i]));
        first_square += a * a;
        second_square += b * b;
      }
      norm[r] += first_square + second_square;
      if (stored[r]) {
        T* const row = to + tokens[r] * to_stride + element;
        store<T, kWidth>(row, first[r]);
        store<T, kWidth>(row + half, second[r]);
      }
    }
  }
  if constexpr (kScores) {
    finish_norms(norm, [&](int r) {
      __syncwarp();
      return exact_norm(to + tokens[r] * to_stride, 2 * half);
    });
  }
}

/// A team of lanes walks one coarsest window of one tree, or as many tokens beyond the last window: its query heads and
/// its key head, so that the angles are read once. Trees are innermost in the grid: while a window's angles are in the
/// second cache, all heads use them.
template <typename T, int kWidth, bool kScores>
__global__ void __launch_bounds__(kThreads) rotary_kernel(const __grid_constant__ RotaryLaunch s) {
  const int tree = static_cast<int>(blockIdx.x % s.trees);
  // Lanes stay for the shuffles, those beyond the last token too: they read it again, and write nothing.
  const int64_t unit = static_cast<int64_t>(blockIdx.x / s.trees) * blockDim.y + threadIdx.y;
  const int batch = tree / s.kv_heads;
  const int kv_head = tree - batch * s.kv_heads;
  const auto head = [&](const Rows& rows, int index) {
    return static_cast<T*>(rows.data) + batch * rows.stride_batch + index * rows.stride_head;
  };
  const bool scored = kScores && unit < s.pyramid.num_coarsest_windows && threadIdx.x == 0;
  const int64_t first_score = static_cast<int64_t>(tree) * s.pyramid.num_nodes;
  Maxima query_maxima(s.pyramid, s.query_scores + first_score, scored);
  Maxima key_maxima(s.pyramid, s.key_scores + first_score, scored);
  for (int w = 0; w < s.unit_windows; ++w) {
    const int64_t window = unit * s.unit_windows + w;
    float best_query = NAN, best_key = NAN;
    for (int c = 0; c < s.window_length; c += kRows) {
      int tokens[kRows];
      bool stored[kRows];
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        // Of a window of odd length the last row is taken twice.
        const int64_t token = window * s.window_length + min(c + r, s.window_length - 1);
        stored[r] = token < s.num_tokens;
        tokens[r] = stored[r] ? static_cast<int>(token) : s.num_tokens - 1;
      }
      float norm[kRows];
      for (int h = 0; h < s.group; ++h) {
        const int index = kv_head * s.group + h;
        rotate<T, kWidth, kScores>(s, head(s.query, index), s.query.stride_row, head(s.rotated_query, index),
                                   s.rotated_query.stride_row, tokens, stored, norm);
#pragma unroll
        for (int r = 0; r < kRows; ++r) best_query = fmaxf(best_query, norm[r]);
      }
      rotate<T, kWidth, kScores>(s, head(s.key, kv_head), s.key.stride_row, head(s.rotated_key, kv_head),
                                 s.rotated_key.stride_row, tokens, stored, norm);
#pragma unroll
      for (int r = 0; r < kRows; ++r) best_key = fmaxf(best_key, norm[r]);
    }
    if (scored) {
      query_maxima.add(static_cast<int>(window), best_query);
      key_maxima.add(static_cast<int>(window), best_key);
    }
  }
}

/// Whether halves of rows are whole numbers of 16-byte pieces, and so are the angles'.
template <typename T>
bool fits_halves(const RotaryParameters& r) {
  const auto whole = [](const float* data, int64_t stride) { return on_pieces(data) && stride % 4 == 0; };
  bool fits = whole(r.cos, r.cos_stride) && whole(r.sin, r.sin_stride);
  for (const Rows& rows : {r.query, r.key, r.rotated_query, r.rotated_key}) {
    fits &= fits_pieces(rows, r.head_dim / 2, sizeof(T));
  }
  return fits;
}

}  // namespace

Status rotary(const RotaryParameters& parameters, Stream stream) {
  RotaryLaunch s{};
  s.pyramid = small(parameters.pyramid);
  s.num_tokens = static_cast<int>(parameters.num_tokens);
  s.trees = static_cast<int>(parameters.batch * parameters.kv_heads);
  if (s.trees == 0 || s.num_tokens == 0 || parameters.head_dim == 0) return nullptr;
  s.kv_heads = static_cast<int>(parameters.kv_heads);
  s.group = static_cast<int>(parameters.query_heads / parameters.kv_heads);
  s.query = parameters.query;
  s.key = parameters.key;
  s.rotated_query = parameters.rotated_query;
  s.rotated_key = parameters.rotated_key;
  s.cos = parameters.cos;
  s.sin = parameters.sin;
  s.cos_stride = parameters.cos_stride;
  s.sin_stride = parameters.sin_stride;
  s.sign = parameters.inverse ? -1.0F : 1.0F;
  s.query_scores = parameters.query_scores;
  s.key_scores = parameters.key_scores;
  const bool scores = parameters.query_scores != nullptr && s.pyramid.num_levels > 1;
  s.window_length = scores ? s.pyramid.pooling_factor : 4;
  s.unit_windows = scores ? s.pyramid.window_length[s.pyramid.num_levels - 1] / s.pyramid.pooling_factor : 4;
  return for_type(parameters.scalar_type, [&](auto* type) -> Status {
    using T = std::remove_pointer_t<decltype(type)>;
    const bool wide = fits_halves<T>(parameters);
    s.half_pieces = static_cast<int>(parameters.head_dim / 2 / (wide ? kWide<T> : 1));
    const int lanes = team_size(s.half_pieces);
    const dim3 block(lanes, kThreads / lanes);
    const int64_t units = ceil_div(s.num_tokens, int64_t{s.window_length} * s.unit_windows);
    const dim3 grid(static_cast<unsigned>(ceil_div(units, block.y) * s.trees));
    const auto launch = [&](auto kernel) { return launch_kernel(kernel, grid, block, stream, s); };
    if (wide) return launch(scores ? &rotary_kernel<T, kWide<T>, true> : &rotary_kernel<T, kWide<T>, false>);
    return launch(scores ? &rotary_kernel<T, 1, true> : &rotary_kernel<T, 1, false>);
  });
}

}  // namespace lighthouse::kernels::cuda
