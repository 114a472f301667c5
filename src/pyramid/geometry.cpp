#include "lighthouse/geometry.h"

#include <algorithm>
#include <iomanip>
#include <limits>
#include <ostream>
#include <sstream>
#include <stdexcept>

namespace lighthouse {
namespace {

constexpr int64_t kInt64Max = std::numeric_limits<int64_t>::max();

/// base^exponent, or the largest int64 where that overflows.
int64_t saturating_power(int64_t base, int64_t exponent) {
  int64_t power = 1;
  for (int64_t i = 0; i < exponent; ++i) {
    if (__builtin_mul_overflow(power, base, &power)) return kInt64Max;
  }
  return power;
}

[[noreturn]] void fail(const std::string& expected, const std::string& got) {
  throw std::invalid_argument("lighthouse: " + expected + "; got " + got);
}

/// A tile for each stretch of so many tokens, and a window expanded for each of so many.
constexpr int64_t kTokensPerTile = 8192;
constexpr int64_t kTokensPerExpanded = 64;

/// About N / 64: as many windows for each tile, an even number of at least two.
int64_t default_top_k(int64_t num_tokens, int64_t num_tiles) {
  return 2 * num_tiles * std::max<int64_t>(1, num_tokens / (2 * kTokensPerExpanded) / num_tiles);
}

/// The largest n <= max(1, top_k / 128) that divides top_k / 2 and leaves every tile a coarsest window.
int64_t default_num_tiles(int64_t top_k, int64_t num_coarsest_windows) {
  int64_t tiles = std::min(std::max<int64_t>(1, top_k / 128), std::max<int64_t>(1, num_coarsest_windows));
  while ((top_k / 2) % tiles != 0) --tiles;
  return tiles;
}

int64_t tiles_of_default_budget(int64_t num_tokens) { return std::max<int64_t>(1, num_tokens / kTokensPerTile); }

/// k and n, what the options leave open filled in.
struct Budget {
  int64_t top_k;
  int64_t num_tiles;
};

Budget checked_budget(const PyramidOptions& options, int64_t num_tokens, int64_t num_coarsest_windows) {
  const int64_t most = std::max<int64_t>(1, num_coarsest_windows);
  const int64_t wanted = options.num_tiles.value_or(tiles_of_default_budget(num_tokens));
  const std::string got = "num_tiles=" + std::to_string(wanted);
  if (options.num_tiles && (wanted < 1 || wanted > most)) {
    fail("num_tiles must be between 1 and the number of coarsest windows, " + std::to_string(most), got);
  }
  const int64_t top_k = options.top_k ? *options.top_k : default_top_k(num_tokens, wanted);
  const std::string top_k_text = "top_k=" + std::to_string(top_k);
  if (top_k < 2 || top_k % 2 != 0) fail("top_k must be even and at least 2", top_k_text);
  if (!options.num_tiles) return {top_k, default_num_tiles(top_k, num_coarsest_windows)};

  if (top_k < 2 * wanted) fail("top_k must be at least 2 * num_tiles", top_k_text + ", " + got);
  if ((top_k / 2) % wanted != 0) fail("num_tiles must divide top_k / 2", got + ", " + top_k_text);
  return {top_k, wanted};
}

}  // namespace

Geometry::Geometry(int64_t num_tokens, const PyramidOptions& options)
    : num_tokens_(num_tokens), num_levels_(options.num_levels), pooling_factor_(options.pooling_factor) {
  if (num_tokens < 0) fail("the number of tokens must be at least 0", std::to_string(num_tokens));
  if (num_levels_ < 1 || num_levels_ > kMaxLevels) {
    fail("num_levels must be between 1 and " + std::to_string(kMaxLevels), std::to_string(num_levels_));
  }
  if (num_levels_ > 1 && pooling_factor_ < 2) {
    fail("pooling_factor must be at least 2", std::to_string(pooling_factor_));
  }

  for (int64_t level = 0; level < num_levels_; ++level) {
    window_length_.push_back(saturating_power(pooling_factor_, level));
  }
  num_coarsest_windows_ = num_tokens_ / coarsest_window_length();

  num_entries_ = 0;
  for (int64_t level = 0; level < num_levels_; ++level) {
    // With M = 0 the lengths may have saturated; there are no windows above level 0 then.
    const int64_t per_coarsest =
        num_coarsest_windows_ == 0 ? 0 : coarsest_window_length() / window_length_[static_cast<size_t>(level)];
    num_windows_.push_back(level == 0 ? num_tokens_ : num_coarsest_windows_ * per_coarsest);
    level_offset_.push_back(num_entries_);
    if (__builtin_add_overflow(num_entries_, num_windows_.back(), &num_entries_)) {
      fail("a pyramid of fewer than 2^63 entries", std::to_string(num_tokens) + " tokens");
    }
  }

  if (num_levels_ > 1) {
    const Budget budget = checked_budget(options, num_tokens, num_coarsest_windows_);
    top_k_ = budget.top_k;
    num_tiles_ = budget.num_tiles;
    tile_budget_ = top_k_ / num_tiles_;
  } else {
    top_k_ = options.top_k.value_or(default_top_k(num_tokens, tiles_of_default_budget(num_tokens)));
  }
  retained_length_ = tile_rank(num_tiles_) + num_tail_tokens();
}

Entry Geometry::entry_at(int64_t flat_index) const {
  if (flat_index < 0 || flat_index >= num_entries_) {
    throw std::out_of_range("lighthouse: expected a flat index in [0, " + std::to_string(num_entries_) + "); got " +
                            std::to_string(flat_index));
  }
  int64_t level = num_levels_ - 1;
  while (level_offset(level) > flat_index) --level;
  return {level, flat_index - level_offset(level)};
}

TokenRange Geometry::window(Entry entry) const {
  const int64_t length = window_length(entry.level);
  return {entry.window * length, (entry.window + 1) * length};
}

TokenRange Geometry::write_range(Entry entry) const {
  const int64_t begin = window(entry).end - 1;
  return {begin, std::min(begin + window_length(entry.level), num_tokens_)};
}

int64_t Geometry::writer(int64_t level, int64_t token) const {
  const int64_t length = window_length(level);
  if (token < length - 1) return -1;
  const int64_t window = (token - (length - 1)) / length;
  return window < num_windows(level) ? window : -1;
}

int64_t Geometry::tile_begin(int64_t tile) const {
  // floor(t M / n) without the product, which could overflow.
  const int64_t whole = num_coarsest_windows_ / num_tiles_;
  const int64_t rest = num_coarsest_windows_ % num_tiles_;
  return tile * whole + tile * rest / num_tiles_;
}

int64_t Geometry::tile_expanded(int64_t coarsest_windows, int64_t level) const {
  int64_t expanded = std::min(coarsest_windows, tile_budget_);
  for (int64_t l = num_levels_ - 2; l >= level; --l) {
    // Children are counted only as far as the budget: p * expanded may overflow for an absurd p.
    expanded = expanded > tile_budget_ / pooling_factor_ ? tile_budget_ : expanded * pooling_factor_;
  }
  return expanded;
}

int64_t Geometry::tile_retained(int64_t coarsest_windows) const {
  int64_t retained = coarsest_windows;
  if (coarsest_windows == 0) return retained;
  for (int64_t level = 1; level < num_levels_; ++level) {
    retained += pooling_factor_ * tile_expanded(coarsest_windows, level);
  }
  return retained;
}

int64_t Geometry::tile_rank(int64_t tile) const {
  // Tiles have floor(M / n) or one more coarsest windows, so two sizes cover them all.
  const int64_t small = num_coarsest_windows_ / num_tiles_;
  const int64_t large_tiles = tile_begin(tile) - tile * small;
  return large_tiles * tile_retained(small + 1) + (tile - large_tiles) * tile_retained(small);
}

std::string Geometry::to_string() const {
  std::ostringstream text;
  text << "N=" << num_tokens_ << " L=" << num_levels_;
  if (num_levels_ > 1) text << " p=" << pooling_factor_ << " k=" << top_k_ << " n=" << num_tiles_;
  text << ": F=";
  if (coarsest_window_length() == kInt64Max) {
    text << ">N";
  } else {
    text << coarsest_window_length();
  }
  text << " M=" << num_coarsest_windows_ << " T=" << num_tail_tokens() << ", S=" << retained_length_;
  if (num_tokens_ > 0) {
    text << " (" << std::fixed << std::setprecision(2)
         << 100.0 * static_cast<double>(retained_length_) / static_cast<double>(num_tokens_) << "% of N)";
  }
  return text.str();
}

std::ostream& operator<<(std::ostream& stream, const Geometry& geometry) { return stream << geometry.to_string(); }

int64_t retained_length(int64_t num_tokens, const PyramidOptions& options) {
  return Geometry(num_tokens, options).retained_length();
}

}  // namespace lighthouse
