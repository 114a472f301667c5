// Copying: a random string far back, and again at the end, for models too small to retrieve. docs/EVALUATION.md has the
// format.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/task_grid.h"

namespace lighthouse::analysis {

/// Bytes of the second string that show the model where in the first it is; those after them are scored.
inline constexpr int64_t kCopyPrefix = 2;
/// What guessing among the lower-case letters scores; its loss is log 26.
inline constexpr double kCopyChance = 1.0 / 26;

/// Throws std::invalid_argument for strings of less than kCopyPrefix + 1.
void check_copy_length(int64_t copy_length);
/// The least length for strings of `copy_length`.
int64_t shortest_copy(int64_t copy_length);
/// length + 1 bytes that end with the second string: all but the last are read, all but the first predicted.
std::string copy_text(int64_t length, int64_t depth, int64_t trial, int64_t copy_length, uint64_t seed);

struct CopyCell {
  int64_t length = 0;
  int64_t depth = 0;
  std::vector<double> shares;  ///< Of each trial: the scored bytes that were the likeliest of all tokens.
  std::vector<double> losses;  ///< Of each trial: their mean loss, nats.

  double score() const;
  /// Bytes of one trial are not independent (a model that finds the string goes on in it), trials are: a trial counts
  /// as one draw.
  Interval interval() const;
  Mean loss() const { return mean_of(losses); }
};

/// Cells by length, then depth, in the grid's order. Throws as check_copy_length() and check().
std::vector<CopyCell> evaluate_copying(const LastLogits& model, const TaskGrid& grid, int64_t copy_length,
                                       const BeforeSequence& before = {});

/// All cells as one; length and depth are 0.
CopyCell overall(const std::vector<CopyCell>& cells);

}  // namespace lighthouse::analysis
