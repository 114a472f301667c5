// How far heads choose alike: overlaps of the tokens that they keep at level 0, and what chance would give.
#pragma once

#include <vector>

#include "analysis/selection_map.h"

namespace lighthouse::analysis {

/// Tokens that both keep at level 0 over tokens that either does (the Jaccard index); 1 where neither keeps any.
double jaccard(const HeadSelection& a, const HeadSelection& b);

/// The mean Jaccard index of two independent uniform choices of `a` and `b` out of `choices` things, where both hold
/// `shared` more than they choose. Exact: the number chosen by both is hypergeometric.
double expected_jaccard(int64_t choices, int64_t a, int64_t b, double shared);

/// What heads that chose their windows of level 1 uniformly and on their own would have, these always kept alike.
double expected_jaccard(const SelectionMap& map);

struct Overlap {
  std::vector<std::vector<double>> jaccard;  ///< [K, K], 1 on the diagonal.
  // Over pairs of different heads; 1 where there is one head.
  double mean = 1;
  double min = 1;
  double max = 1;
};

Overlap overlap_of_heads(const LayerSelection& layer);

/// [layers, layers]: the mean over pairs of a head of one and a different head of the other.
std::vector<std::vector<double>> overlap_of_layers(const SelectionMap& map);

}  // namespace lighthouse::analysis
