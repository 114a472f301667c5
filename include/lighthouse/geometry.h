// The shape of a Lighthouse pyramid: levels, windows, tiles, budgets and the retained length.
//
// Everything here is a function of (N, L, p, k, n) alone. No data is read, so the length of the gathered
// sequence is known before any kernel runs, and no framework is needed to ask for it.
//
// Symbols (docs/ALGORITHM.md): N tokens, L levels, p pooling factor, k selection budget, n tiles,
// F = p^(L-1) tokens under one coarsest window, M = floor(N / F) coarsest windows, T = N - M F tail tokens,
// S retained entries.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace lighthouse {

/// The hyperparameters that fix a pyramid. With `num_levels == 1` attention is dense and the others are ignored.
struct PyramidOptions {
  int64_t num_levels = 3;      ///< L, 1 to 64.
  int64_t pooling_factor = 4;  ///< p >= 2: a window of level l holds p windows of level l - 1.
  /// k: windows expanded per level, over all tiles. Even, >= 2 n. Default: about N / 64, see Geometry.
  std::optional<int64_t> top_k = std::nullopt;
  /// n: must divide k / 2 and not exceed M. Default: about N / 8192 with the default k, see Geometry.
  std::optional<int64_t> num_tiles = std::nullopt;
};

/// The entry (level, window): tokens [window * p^level, (window + 1) * p^level).
struct Entry {
  int64_t level = 0;
  int64_t window = 0;
  friend bool operator==(const Entry&, const Entry&) = default;
};

/// A half-open range of tokens.
struct TokenRange {
  int64_t begin = 0;
  int64_t end = 0;
  friend bool operator==(const TokenRange&, const TokenRange&) = default;
};

/// Geometry of the pyramid over a sequence of N tokens. Cheap to build (O(L)) and immutable.
class Geometry {
 public:
  static constexpr int64_t kMaxLevels = 64;

  /// Throws std::invalid_argument, naming what was expected and what came, for N < 0 or bad options.
  ///
  /// Without `top_k`, k = 2 n max(1, floor(N / (128 n))) with n = `num_tiles`, or max(1, floor(N / 8192)) without that
  /// too. Without `num_tiles`, n is the largest number <= max(1, k / 128) that divides k / 2 and is at most max(1, M).
  Geometry(int64_t num_tokens, const PyramidOptions& options);

  int64_t num_tokens() const { return num_tokens_; }
  int64_t num_levels() const { return num_levels_; }
  int64_t pooling_factor() const { return pooling_factor_; }
  /// k, as given or by the default.
  int64_t top_k() const { return top_k_; }
  int64_t num_tiles() const { return num_tiles_; }
  /// b = k / n: windows expanded per tile and level, at most.
  int64_t tile_budget() const { return tile_budget_; }

  /// F, tokens under one coarsest window. Saturates at the largest int64 (then there is no such window).
  int64_t coarsest_window_length() const { return window_length_.back(); }
  /// M, complete coarsest windows.
  int64_t num_coarsest_windows() const { return num_coarsest_windows_; }
  /// T, tokens after the last complete coarsest window. They are retained as they are.
  int64_t num_tail_tokens() const { return num_tokens_ - tail_begin(); }
  /// The first tail token, M F.
  int64_t tail_begin() const {
    return num_coarsest_windows_ == 0 ? 0 : num_coarsest_windows_ * coarsest_window_length();
  }

  /// S, the length of the gathered sequence, tail included.
  int64_t retained_length() const { return retained_length_; }
  /// True where gathering cannot shorten the sequence (S >= N): attention() then runs dense.
  bool is_dense() const { return retained_length_ >= num_tokens_; }

  /// p^level, saturating at the largest int64.
  int64_t window_length(int64_t level) const { return window_length_[static_cast<size_t>(level)]; }
  /// Windows of a level: N at level 0, M p^(L-1-level) above.
  int64_t num_windows(int64_t level) const { return num_windows_[static_cast<size_t>(level)]; }
  /// Flat index of the level's first window: level 0 first, then level 1, and so on.
  int64_t level_offset(int64_t level) const { return level_offset_[static_cast<size_t>(level)]; }
  /// All entries of the pyramid, retained or not.
  int64_t num_entries() const { return num_entries_; }
  /// Windows of levels >= 1: what is scored, and what a tree stores a node for.
  int64_t num_scored_windows() const { return num_entries_ - num_tokens_; }

  int64_t flat_index(Entry entry) const { return level_offset(entry.level) + entry.window; }
  /// Inverse of flat_index. Throws std::out_of_range outside [0, num_entries()).
  Entry entry_at(int64_t flat_index) const;

  /// The tokens that the entry pools.
  TokenRange window(Entry entry) const;
  /// The tokens that the entry's output is added to: p^level of them from the window's last token on, clipped to N.
  TokenRange write_range(Entry entry) const;
  /// The window of `level` whose write range holds `token`, or -1 where there is none.
  int64_t writer(int64_t level, int64_t token) const;

  /// First coarsest window of tile t, floor(t M / n); tile_begin(n) is M.
  int64_t tile_begin(int64_t tile) const;
  /// Windows that a tile of `coarsest_windows` windows expands at `level` (1 <= level < L).
  int64_t tile_expanded(int64_t coarsest_windows, int64_t level) const;
  /// Entries that a tile of `coarsest_windows` windows retains.
  int64_t tile_retained(int64_t coarsest_windows) const;
  /// Place of tile t's first entry in the gathered sequence; tile_rank(n) is where the tail starts.
  int64_t tile_rank(int64_t tile) const;

  /// One line, for logs: "N=65536 L=3 p=4 k=1024 n=8: F=16 M=4096 T=0, S=12288 (18.75% of N)".
  std::string to_string() const;

 private:
  int64_t num_tokens_ = 0;
  int64_t num_levels_ = 1;
  int64_t pooling_factor_ = 2;
  int64_t top_k_ = 0;
  int64_t num_tiles_ = 1;
  int64_t tile_budget_ = 0;
  int64_t num_coarsest_windows_ = 0;
  int64_t retained_length_ = 0;
  int64_t num_entries_ = 0;
  std::vector<int64_t> window_length_;
  std::vector<int64_t> num_windows_;
  std::vector<int64_t> level_offset_;
};

std::ostream& operator<<(std::ostream& stream, const Geometry& geometry);

/// S for a sequence of `num_tokens` tokens. Throws as Geometry does.
int64_t retained_length(int64_t num_tokens, const PyramidOptions& options);

}  // namespace lighthouse
