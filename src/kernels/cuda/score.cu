// Norms of the stored vectors to per-window maxima, all levels in one pass; and the same from a caller's scores.
#include <algorithm>
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/scoring.cuh"

namespace lighthouse::kernels::cuda {
namespace {

struct ScoreLaunch {
  SmallPyramid pyramid;
  int trees;
  int kv_heads;
  int group;   // query heads per key/value head
  int pieces;  // of a row
  Rows query;
  Rows key;
  float* query_scores;
  float* key_scores;
};

/// Norms of kRows rows at once, so that their loads overlap. All teams of a warp go together.
template <typename T, int kWidth, int kRows>
__device__ void norms(const T* first, int64_t stride, int pieces, float (&norm)[kRows]) {
#pragma unroll
  for (int r = 0; r < kRows; ++r) norm[r] = 0;
  for (int piece = threadIdx.x; piece < pieces; piece += blockDim.x) {
    Piece<T, kWidth> x[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) x[r] = load_once<T, kWidth>(first + r * stride + piece * kWidth);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        const auto value = static_cast<float>(widen(x[r].values[i]));
        norm[r] += value * value;
      }
    }
  }
  finish_norms(norm, [&](int r) { return exact_norm(first + r * stride, pieces * kWidth); });
}

/// The largest norm of `count` rows.
template <typename T, int kWidth>
__device__ float largest_norm(const T* row, int64_t stride, int count, int pieces) {
  float best = NAN;
  int r = 0;
  for (; r + 4 <= count; r += 4) {
    float four[4];
    norms<T, kWidth, 4>(row + r * stride, stride, pieces, four);
    best = fmaxf(fmaxf(fmaxf(four[0], four[1]), fmaxf(four[2], four[3])), best);
  }
  for (; r < count; ++r) {
    float one[1];
    norms<T, kWidth, 1>(row + r * stride, stride, pieces, one);
    best = fmaxf(best, one[0]);
  }
  return best;
}

/// A team of lanes walks a coarsest window of one tree's queries (blockIdx.y even) or keys (odd).
template <typename T, int kWidth>
__global__ void score_kernel(const __grid_constant__ ScoreLaunch s) {
  const SmallPyramid& p = s.pyramid;
  const int coarsest = blockIdx.x * blockDim.y + threadIdx.y;
  // Lanes stay for the shuffles: those beyond the last window walk it again, and write nothing.
  const bool writes = coarsest < p.num_coarsest_windows && threadIdx.x == 0;
  const int walked = min(coarsest, p.num_coarsest_windows - 1);
  const int windows = p.window_length[p.num_levels - 1] / p.pooling_factor;  // of level 1
  for (int item = blockIdx.y; item < 2 * s.trees; item += gridDim.y) {
    const int tree = item / 2;
    const bool is_query = item % 2 == 0;
    const Rows& rows = is_query ? s.query : s.key;
    const int heads = is_query ? s.group : 1;
    const T* const first = static_cast<const T*>(rows.data) + (tree / s.kv_heads) * rows.stride_batch +
                           (tree % s.kv_heads) * heads * rows.stride_head;
    Maxima maxima(p, (is_query ? s.query_scores : s.key_scores) + static_cast<int64_t>(tree) * p.num_nodes, writes);
    for (int i = 0; i < windows; ++i) {
      const int window = walked * windows + i;
      const T* const row = first + static_cast<int64_t>(window) * p.pooling_factor * rows.stride_row;
      float best = NAN;
      for (int head = 0; head < heads; ++head) {
        best = fmaxf(
            best, largest_norm<T, kWidth>(row + head * rows.stride_head, rows.stride_row, p.pooling_factor, s.pieces));
      }
      maxima.add(window, best);
    }
  }
}

/// A thread walks a coarsest window of one tree's scores.
__global__ void pool_scores_kernel(const __grid_constant__ SmallPyramid p, TokenScores tokens, int trees, int kv_heads,
                                   bool by_fours, float* window_scores) {
  const int coarsest = blockIdx.x * blockDim.x + threadIdx.x;
  if (coarsest >= p.num_coarsest_windows) return;
  const int windows = p.window_length[p.num_levels - 1] / p.pooling_factor;
  for (int tree = blockIdx.y; tree < trees; tree += gridDim.y) {
    const float* const first =
        tokens.data + (tree / kv_heads) * tokens.stride_batch + (tree % kv_heads) * tokens.stride_head;
    Maxima maxima(p, window_scores + static_cast<int64_t>(tree) * p.num_nodes, true);
    for (int window = coarsest * windows; window < (coarsest + 1) * windows; ++window) {
      const float* const token = first + static_cast<int64_t>(window) * p.pooling_factor * tokens.stride_token;
      float best = NAN;
      if (by_fours) {
        for (int c = 0; c < p.pooling_factor; c += 4) {
          const float4 four = __ldcs(reinterpret_cast<const float4*>(token + c));
          best = fmaxf(fmaxf(fmaxf(four.x, four.y), fmaxf(four.z, four.w)), best);
        }
      } else {
        for (int c = 0; c < p.pooling_factor; ++c) best = fmaxf(best, token[c * tokens.stride_token]);
      }
      maxima.add(window, best);
    }
  }
}

constexpr int64_t kMostInY = 65535;

}  // namespace

Status score(const ScoreParameters& parameters, Stream stream) {
  ScoreLaunch s{};
  s.pyramid = small(parameters.pyramid);
  s.trees = static_cast<int>(parameters.batch * parameters.kv_heads);
  if (parameters.pyramid.num_nodes == 0 || s.trees == 0) return nullptr;
  s.kv_heads = static_cast<int>(parameters.kv_heads);
  s.group = static_cast<int>(parameters.query_heads / parameters.kv_heads);
  s.query = parameters.query;
  s.key = parameters.key;
  s.query_scores = parameters.query_scores;
  s.key_scores = parameters.key_scores;
  return for_type(parameters.scalar_type, [&](auto* type) -> Status {
    using T = std::remove_pointer_t<decltype(type)>;
    const bool wide =
        fits_pieces(s.query, parameters.head_dim, sizeof(T)) && fits_pieces(s.key, parameters.head_dim, sizeof(T));
    s.pieces = static_cast<int>(wide ? parameters.head_dim / kWide<T> : parameters.head_dim);
    const int lanes = team_size(s.pieces);
    const dim3 block(lanes, 256 / lanes);
    const dim3 grid(static_cast<unsigned>(ceil_div(s.pyramid.num_coarsest_windows, block.y)),
                    static_cast<unsigned>(std::min<int64_t>(2 * int64_t{s.trees}, kMostInY)));
    return launch_kernel(wide ? &score_kernel<T, kWide<T>> : &score_kernel<T, 1>, grid, block, stream, s);
  });
}

Status pool_scores(const PoolScoresParameters& parameters, Stream stream) {
  const int64_t trees = parameters.batch * parameters.kv_heads;
  if (parameters.pyramid.num_nodes == 0 || trees == 0) return nullptr;
  const SmallPyramid p = small(parameters.pyramid);
  constexpr int kThreads = 128;
  const dim3 grid(static_cast<unsigned>(ceil_div(p.num_coarsest_windows, kThreads)),
                  static_cast<unsigned>(std::min(trees, kMostInY)));
  const TokenScores& tokens = parameters.tokens;
  const bool by_fours = tokens.stride_token == 1 && p.pooling_factor % 4 == 0 && tokens.stride_head % 4 == 0 &&
                        tokens.stride_batch % 4 == 0 && on_pieces(tokens.data);
  return launch_kernel(&pool_scores_kernel, grid, kThreads, stream, p, tokens, static_cast<int>(trees),
                       static_cast<int>(parameters.kv_heads), by_fours, parameters.window_scores);
}

}  // namespace lighthouse::kernels::cuda
