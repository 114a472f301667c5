// What a mistyped word may have meant.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lighthouse::text {

/// Letters to insert, remove, replace or swap with their neighbour that make one word of the other.
size_t edit_distance(const std::string& a, const std::string& b);

/// The candidate that `word` may have meant: one that it begins, one with all of its parts ("max-tokens" of
/// "max-new-tokens"), or one that a slip or two in a word of its length makes of it. None where nothing is near: a hint
/// that misleads is worse than none.
std::optional<std::string> nearest_word(const std::string& word, const std::vector<std::string>& candidates);

/// "a, b, c".
std::string joined(const std::vector<std::string>& words);

}  // namespace lighthouse::text
