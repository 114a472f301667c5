#include "analysis/selection_overlap.h"

#include <algorithm>
#include <cmath>

namespace lighthouse::analysis {
namespace {

double log_binomial(int64_t n, int64_t k) {
  const auto log_factorial = [](int64_t m) { return std::lgamma(static_cast<double>(m) + 1); };
  return log_factorial(n) - log_factorial(k) - log_factorial(n - k);
}

/// The mean over pairs of a head of `a` and one of `b`; of different heads where both are one layer.
double mean_jaccard(const LayerSelection& a, const LayerSelection& b) {
  double sum = 0;
  int64_t pairs = 0;
  for (const auto& left : a.heads) {
    for (const auto& right : b.heads) {
      if (&left == &right) continue;
      sum += jaccard(left, right);
      ++pairs;
    }
  }
  return pairs == 0 ? 1 : sum / static_cast<double>(pairs);
}

}  // namespace

double jaccard(const HeadSelection& a, const HeadSelection& b) {
  int64_t both = 0;
  int64_t either = 0;
  for (size_t i = 0; i < a.finest_level.size(); ++i) {
    const bool in_a = a.finest_level[i] == 0;
    const bool in_b = b.finest_level[i] == 0;
    both += in_a && in_b ? 1 : 0;
    either += in_a || in_b ? 1 : 0;
  }
  return either == 0 ? 1 : static_cast<double>(both) / static_cast<double>(either);
}

double expected_jaccard(int64_t choices, int64_t a, int64_t b, double shared) {
  double expected = 0;
  for (int64_t both = std::max<int64_t>(0, a + b - choices); both <= std::min(a, b); ++both) {
    const double probability =
        std::exp(log_binomial(a, both) + log_binomial(choices - a, b - both) - log_binomial(choices, b));
    const double either = shared + static_cast<double>(a + b - both);
    expected += probability * (either == 0 ? 1 : (shared + static_cast<double>(both)) / either);
  }
  return expected;
}

double expected_jaccard(const SelectionMap& map) {
  const auto& geometry = map.geometry;
  const auto always = always_kept(geometry, map.options);
  const auto always_tokens = std::count(always.begin(), always.end(), true);
  if (geometry.num_levels() == 1 || map.layers.empty()) return 1;
  // Level 0 comes in whole windows of level 1, so those are what is chosen. All heads keep equally many tokens.
  const auto& levels = map.layers.front().heads.front().finest_level;
  const int64_t length = geometry.pooling_factor();
  const int64_t kept = std::count(levels.begin(), levels.end(), 0);
  const int64_t choices = (geometry.num_tokens() - always_tokens) / length;
  const int64_t chosen = (kept - always_tokens) / length;
  return expected_jaccard(choices, chosen, chosen, static_cast<double>(always_tokens) / static_cast<double>(length));
}

Overlap overlap_of_heads(const LayerSelection& layer) {
  const size_t heads = layer.heads.size();
  Overlap overlap;
  overlap.jaccard.assign(heads, std::vector<double>(heads, 1.0));
  if (heads < 2) return overlap;
  overlap.max = 0;
  for (size_t i = 0; i < heads; ++i) {
    for (size_t j = 0; j < i; ++j) {
      const double value = jaccard(layer.heads[i], layer.heads[j]);
      overlap.jaccard[i][j] = overlap.jaccard[j][i] = value;
      overlap.min = std::min(overlap.min, value);
      overlap.max = std::max(overlap.max, value);
    }
  }
  overlap.mean = mean_jaccard(layer, layer);
  return overlap;
}

std::vector<std::vector<double>> overlap_of_layers(const SelectionMap& map) {
  const size_t count = map.layers.size();
  std::vector<std::vector<double>> means(count, std::vector<double>(count));
  for (size_t i = 0; i < count; ++i) {
    for (size_t j = 0; j <= i; ++j) means[i][j] = means[j][i] = mean_jaccard(map.layers[i], map.layers[j]);
  }
  return means;
}

}  // namespace lighthouse::analysis
