// One 32-bit word per window of levels >= 1: all that a tree is made of.
//
// A word is -1 for a window that is not retained; else its rank (its place in the gathered sequence) and three flags.
// The rank of a token follows from its level-1 window: the p children of an expanded one stand right before it.
#pragma once

#include <cstdint>

namespace lighthouse::kernels {

using Node = int32_t;

inline constexpr Node kNotRetained = -1;
/// The window's children are retained too.
inline constexpr Node kExpanded = 1;
/// The entry's output is added to its write range.
inline constexpr Node kWrites = 2;
/// The children's outputs are: the entry writes and was expanded for its query score.
inline constexpr Node kChildrenWrite = 4;
inline constexpr int kRankShift = 3;
/// Ranks must stay below this.
inline constexpr int64_t kMaxRetainedLength = int64_t{1} << (31 - kRankShift);

}  // namespace lighthouse::kernels
