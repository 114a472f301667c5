#include "kernels/pyramid.h"

namespace lighthouse::kernels {

static_assert(Pyramid::kMaxLevels == Geometry::kMaxLevels);

Pyramid to_pyramid(const Geometry& geometry) {
  Pyramid pyramid;
  pyramid.num_tokens = geometry.num_tokens();
  pyramid.num_levels = geometry.num_levels();
  pyramid.pooling_factor = geometry.pooling_factor();
  pyramid.num_tiles = geometry.num_tiles();
  pyramid.tile_budget = geometry.tile_budget();
  pyramid.num_nodes = geometry.num_scored_windows();
  // With one level there is no tree: kernels see every token as part of the tail.
  if (geometry.num_levels() > 1) {
    pyramid.num_coarsest_windows = geometry.num_coarsest_windows();
    pyramid.tail_begin = geometry.tail_begin();
    pyramid.tail_rank = geometry.tile_rank(geometry.num_tiles());
  }
  pyramid.retained_length = geometry.retained_length();
  for (int64_t level = 0; level < geometry.num_levels(); ++level) {
    pyramid.window_length[level] = geometry.window_length(level);
    pyramid.num_windows[level] = geometry.num_windows(level);
    pyramid.node_offset[level] = level == 0 ? 0 : geometry.level_offset(level) - geometry.num_tokens();
  }
  return pyramid;
}

}  // namespace lighthouse::kernels
