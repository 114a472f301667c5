// What kernels that take norms share: teams of lanes that own a row together, their sums, and maxima by level.
#pragma once

#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/rows.cuh"

namespace lighthouse::kernels::cuda {

inline constexpr unsigned kAllLanes = 0xFFFFFFFFU;

/// Per-level maxima along a walk over one coarsest window's tokens; NaN only where all of a window's are.
class Maxima {
 public:
  __device__ Maxima(const SmallPyramid& p, float* scores, bool writes) : p_(p), scores_(scores), writes_(writes) {
    for (int level = 2; level < p.num_levels; ++level) best_[level] = NAN;
  }

  /// Takes the maximum over a level-1 window, windows in order.
  __device__ void add(int window, float best) {
    for (int level = 1;; ++level) {
      if (writes_) scores_[p_.node_offset[level] + window] = best;
      if (level + 1 >= p_.num_levels) return;
      best_[level + 1] = fmaxf(best_[level + 1], best);  // of a number and NaN the number
      const int parent = window / p_.pooling_factor;
      if (window - parent * p_.pooling_factor != p_.pooling_factor - 1) return;
      window = parent;
      best = best_[level + 1];
      best_[level + 1] = NAN;
    }
  }

 private:
  const SmallPyramid& p_;
  float* scores_;
  const bool writes_;
  float best_[SmallPyramid::kMaxLevels];
};

/// The sum over a team of blockDim.x lanes, the same in each.
template <typename A>
__device__ A team_sum(A value) {
  for (int offset = blockDim.x / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(kAllLanes, value, offset);
  return value;
}

/// The norm of a row, summed in double: for the rare rows whose squares float cannot hold, or loses.
template <typename T>
__device__ float exact_norm(const T* row, int elements) {
  double sum = 0;
  for (int i = threadIdx.x; i < elements; i += blockDim.x) {
    const double value = widen(row[i]);
    sum += value * value;
  }
  return static_cast<float>(sqrt(team_sum(sum)));
}

/// Sums of squares over a lane's pieces to the norms of whole rows. All teams of a warp go together; exact(r) gives the
/// norm of row r where float could not hold its square.
template <int kRows, typename Exact>
__device__ void finish_norms(float (&norm)[kRows], const Exact& exact) {
  bool out_of_range = false;
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    norm[r] = team_sum(norm[r]);
    out_of_range |= !(norm[r] < 3e38F && norm[r] > 1e-30F);
    norm[r] = sqrtf(norm[r]);
  }
  if (!__any_sync(kAllLanes, out_of_range)) return;
#pragma unroll
  for (int r = 0; r < kRows; ++r) norm[r] = exact(r);
}

/// Lanes to a row: a power of two, no more than a warp, and where pieces are few none idle.
inline int team_size(int pieces) {
  int lanes = 1;
  while (lanes < 32 && pieces % (2 * lanes) == 0) lanes *= 2;
  // A number of pieces that no such team divides: rather some idle lanes than long rows to a lane.
  while (lanes < 32 && pieces > 4 * lanes) lanes *= 2;
  return lanes;
}

}  // namespace lighthouse::kernels::cuda
