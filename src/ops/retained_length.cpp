#include "ops/retained_length.h"

#include "ops/checks.h"

namespace lighthouse::ops {
namespace {

using c10::SymInt;

struct CoarsestLevel {
  int64_t window_length;  // F
  SymInt num_windows;     // M
};

CoarsestLevel coarsest_level(const char* op, const SymInt& num_tokens, const PyramidOptions& options) {
  PyramidOptions levels;  // default budget: only the levels matter here
  levels.num_levels = options.num_levels;
  levels.pooling_factor = options.pooling_factor;
  const int64_t length = make_geometry(op, 0, levels).coarsest_window_length();
  return {length, num_tokens / length};
}

/// The tiles that the default budget is counted in, as in Geometry.
SymInt tiles_of_default_budget(const SymInt& num_tokens, const PyramidOptions& options) {
  const bool given = options.num_levels > 1 && options.num_tiles;
  return given ? SymInt(*options.num_tiles) : (num_tokens / 8192).max(1);
}

/// Entries that a tile of `windows` coarsest windows, fewer than its budget, retains.
SymInt retained_by_tile(const SymInt& windows, const SymInt& budget, const PyramidOptions& options) {
  SymInt retained = windows;
  SymInt candidates = windows;
  for (int64_t level = options.num_levels - 1; level >= 1; --level) {
    const SymInt expanded = candidates.min(budget);
    candidates = expanded * options.pooling_factor;
    retained = retained + candidates;
  }
  return retained;
}

/// n, for a symbolic N.
SymInt symbolic_num_tiles(const char* op, const SymInt& num_tokens, const PyramidOptions& options) {
  const SymInt windows = coarsest_level(op, num_tokens, options).num_windows;
  SymInt tiles = tiles_of_default_budget(num_tokens, options);
  PyramidOptions halves = options;  // with these a sequence has half as many coarsest windows as tokens
  halves.num_levels = 2;
  halves.pooling_factor = 2;
  if (options.top_k) {
    // Those of a sequence that is long enough not to limit their number.
    constexpr int64_t kLongSequence = int64_t{1} << 62;
    tiles = make_geometry(op, kLongSequence, halves).num_tiles();
  }
  if (windows >= tiles) return tiles;
  if (!options.num_tiles && windows == 0) return 1;
  if (!options.top_k) return make_geometry(op, num_tokens.guard_int(__FILE__, __LINE__), options).num_tiles();
  return make_geometry(op, 2 * windows.guard_int(__FILE__, __LINE__), halves).num_tiles();
}

}  // namespace

SymInt top_k(const char* op, const SymInt& num_tokens, const PyramidOptions& options) {
  if (const auto known = num_tokens.maybe_as_int()) return make_geometry(op, *known, options).top_k();
  if (options.top_k) return *options.top_k;
  const SymInt tiles = tiles_of_default_budget(num_tokens, options);
  return tiles * 2 * (num_tokens / 128 / tiles).max(1);
}

SymInt num_tiles(const char* op, const SymInt& num_tokens, const PyramidOptions& options) {
  if (const auto known = num_tokens.maybe_as_int()) return make_geometry(op, *known, options).num_tiles();
  return options.num_levels == 1 ? SymInt(1) : symbolic_num_tiles(op, num_tokens, options);
}

SymInt retained_length(const char* op, const SymInt& num_tokens, const PyramidOptions& options) {
  if (const auto known = num_tokens.maybe_as_int()) return make_geometry(op, *known, options).retained_length();
  if (options.num_levels == 1) return num_tokens;
  const SymInt tiles = symbolic_num_tiles(op, num_tokens, options);
  const SymInt expanded = top_k(op, num_tokens, options);
  const SymInt budget = expanded / tiles;
  const CoarsestLevel coarsest = coarsest_level(op, num_tokens, options);
  const SymInt tail = num_tokens - coarsest.num_windows * coarsest.window_length;
  const SymInt small = coarsest.num_windows / tiles;
  if (small >= budget) {
    return coarsest.num_windows + expanded * ((options.num_levels - 1) * options.pooling_factor) + tail;
  }
  // Tiles have floor(M / n) or one more coarsest windows.
  const SymInt large_tiles = coarsest.num_windows % tiles;
  return (tiles - large_tiles) * retained_by_tile(small, budget, options) +
         large_tiles * retained_by_tile(small + 1, budget, options) + tail;
}

SymInt num_nodes(const char* op, const SymInt& num_tokens, const PyramidOptions& options) {
  if (const auto known = num_tokens.maybe_as_int()) return make_geometry(op, *known, options).num_scored_windows();
  if (options.num_levels == 1) return 0;
  const CoarsestLevel coarsest = coarsest_level(op, num_tokens, options);
  // p^0 + … + p^(L-2) windows of levels >= 1 under each coarsest one.
  const int64_t per_coarsest = (coarsest.window_length - 1) / (options.pooling_factor - 1);
  return coarsest.num_windows * per_coarsest;
}

}  // namespace lighthouse::ops
