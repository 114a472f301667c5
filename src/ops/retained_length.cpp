#include "ops/retained_length.h"

#include "ops/checks.h"

namespace lighthouse::ops {
namespace {

struct CoarsestLevel {
  int64_t window_length;    // F
  c10::SymInt num_windows;  // M
};

CoarsestLevel coarsest_level(const char* op, const c10::SymInt& num_tokens, const PyramidOptions& options) {
  PyramidOptions levels;  // default budget: only the levels matter here
  levels.num_levels = options.num_levels;
  levels.pooling_factor = options.pooling_factor;
  const int64_t length = make_geometry(op, 0, levels).coarsest_window_length();
  return {length, num_tokens / length};
}

}  // namespace

c10::SymInt num_tiles(const char* op, const c10::SymInt& num_tokens, const PyramidOptions& options) {
  if (const auto known = num_tokens.maybe_as_int()) return make_geometry(op, *known, options).num_tiles();
  if (options.num_levels == 1) return 1;
  const c10::SymInt windows = coarsest_level(op, num_tokens, options).num_windows;
  // The tiles of a sequence that is long enough not to limit their number.
  constexpr int64_t kLongSequence = int64_t{1} << 62;
  PyramidOptions unlimited = options;
  unlimited.num_levels = 2;
  unlimited.pooling_factor = 2;
  const int64_t tiles = make_geometry(op, kLongSequence, unlimited).num_tiles();
  if (windows >= tiles) return tiles;
  return make_geometry(op, num_tokens.guard_int(__FILE__, __LINE__), options).num_tiles();
}

c10::SymInt retained_length(const char* op, const c10::SymInt& num_tokens, const PyramidOptions& options) {
  if (const auto known = num_tokens.maybe_as_int()) return make_geometry(op, *known, options).retained_length();
  if (options.num_levels == 1) return num_tokens;
  const c10::SymInt tiles = num_tiles(op, num_tokens, options);
  const CoarsestLevel coarsest = coarsest_level(op, num_tokens, options);
  const c10::SymInt budget = c10::SymInt(options.top_k) / tiles;
  if (coarsest.num_windows / tiles >= budget) {
    const c10::SymInt tail = num_tokens - coarsest.num_windows * coarsest.window_length;
    return coarsest.num_windows + (options.num_levels - 1) * options.pooling_factor * options.top_k + tail;
  }
  return make_geometry(op, num_tokens.guard_int(__FILE__, __LINE__), options).retained_length();
}

c10::SymInt num_nodes(const char* op, const c10::SymInt& num_tokens, const PyramidOptions& options) {
  if (const auto known = num_tokens.maybe_as_int()) return make_geometry(op, *known, options).num_scored_windows();
  if (options.num_levels == 1) return 0;
  const CoarsestLevel coarsest = coarsest_level(op, num_tokens, options);
  // p^0 + … + p^(L-2) windows of levels >= 1 under each coarsest one.
  const int64_t per_coarsest = (coarsest.window_length - 1) / (options.pooling_factor - 1);
  return coarsest.num_windows * per_coarsest;
}

}  // namespace lighthouse::ops
