#include "text/nearest_word.h"

#include <algorithm>
#include <set>

namespace lighthouse::text {
namespace {

/// What stands between hyphens, underscores and dots.
std::set<std::string> parts_of(const std::string& word) {
  std::set<std::string> parts;
  for (size_t begin = 0; begin <= word.size();) {
    const size_t end = std::min(word.find_first_of("-_.", begin), word.size());
    if (end > begin) parts.insert(word.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

}  // namespace

size_t edit_distance(const std::string& a, const std::string& b) {
  // Rows of the table of distances between beginnings: two back for swaps, one back, and the present one.
  std::vector<size_t> before_last(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::optional<std::string> nearest_word(const std::string& word, const std::vector<std::string>& candidates) {
  const auto parts = parts_of(word);
  const auto with_all_parts = [&]() -> std::optional<std::string> {
    for (const auto& candidate : candidates) {
      const auto all = parts_of(candidate);
      if (!parts.empty() && std::includes(all.begin(), all.end(), parts.begin(), parts.end())) return candidate;
    }
    return std::nullopt;
  };
  const size_t letters = word.size() - std::min(word.find_first_not_of('-'), word.size());
  constexpr size_t kBeginning = 3;  // fewer letters begin anything
  for (const auto& candidate : candidates) {
    if (letters >= kBeginning && candidate.starts_with(word)) return candidate;
  }
  if (parts.size() > 1) {
    if (auto found = with_all_parts()) return found;
  }
  std::optional<std::string> nearest;
  size_t least = std::max<size_t>(1, letters / 3) + 1;  // what is farther is another word
  for (const auto& candidate : candidates) {
    const size_t distance = edit_distance(word, candidate);
    if (distance >= least) continue;
    least = distance;
    nearest = candidate;
  }
  return nearest || letters < kBeginning ? nearest : with_all_parts();
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace lighthouse::text
