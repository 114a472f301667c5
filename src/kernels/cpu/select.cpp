// The cascade: docs/ALGORITHM.md, 4 (paper's rule) and 4b (locally causal rule), then ranks by a post-order walk (5).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/cpu/kernels.h"

namespace lighthouse::kernels::cpu {
namespace {

/// Maps a score and a candidate's place to a key that sorts as the rule does: larger scores first, +0 equal to -0, NaN
/// below everything, and the earlier candidate first among equals. Keys are distinct, so what is chosen is a function
/// of values.
uint64_t selection_key(float score, size_t place) {
  uint32_t ordered = 0;  // NaN
  if (!std::isnan(score)) {
    score += 0.0F;  // -0 becomes +0
    uint32_t bits = 0;
    std::memcpy(&bits, &score, sizeof(bits));
    ordered = (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
  }
  return (uint64_t{ordered} << 32) | (0xFFFFFFFFU - static_cast<uint32_t>(place));
}

size_t place_of(uint64_t key) { return 0xFFFFFFFFU - static_cast<uint32_t>(key); }

/// Selects in one tile of one tree. Buffers are reused from tile to tile.
class TileSelector {
 public:
  TileSelector(const SelectParameters& parameters, const Geometry& geometry)
      : p_(parameters.pyramid), parameters_(parameters), geometry_(geometry) {}

  void run(int64_t tree, int64_t tile) {
    const int64_t begin = geometry_.tile_begin(tile);
    const int64_t end = geometry_.tile_begin(tile + 1);
    query_scores_ = parameters_.query_scores + tree * p_.num_nodes;
    key_scores_ = parameters_.key_scores + tree * p_.num_nodes;
    nodes_ = parameters_.nodes + tree * p_.num_nodes;
    forget(begin, end);

    const int64_t coarsest = p_.num_levels - 1;
    candidates_.clear();
    for (int64_t window = begin; window < end; ++window) {
      candidates_.push_back(window);
      node(coarsest, window) = kWrites;
    }
    for (int64_t level = coarsest; level >= 1; --level) {
      choose(level);
      descend(level);
    }
    next_rank_ = geometry_.tile_rank(tile);
    for (int64_t window = begin; window < end; ++window) assign_ranks(coarsest, window);
  }

 private:
  enum Choice : uint8_t { kNo, kForQuery, kForKey };

  Node& node(int64_t level, int64_t window) { return nodes_[p_.node_offset[level] + window]; }

  void forget(int64_t begin, int64_t end) {
    for (int64_t level = 1; level < p_.num_levels; ++level) {
      const int64_t per_coarsest = p_.num_windows[level] / p_.num_coarsest_windows;
      Node* level_nodes = nodes_ + p_.node_offset[level];
      std::fill(level_nodes + begin * per_coarsest, level_nodes + end * per_coarsest, kNotRetained);
    }
  }

  float query_score(int64_t level, int64_t window) const {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const float* scores = query_scores_ + p_.node_offset[level];
    if (parameters_.causal_selection) return window == 0 ? kInfinity : scores[window - 1];
    return window == 0 && parameters_.cover_prefix ? kInfinity : scores[window];
  }

  /// Fills choice_ for candidates_.
  void choose(int64_t level) {
    const auto budget = static_cast<size_t>(p_.tile_budget);
    if (candidates_.size() <= budget) {
      choice_.assign(candidates_.size(), kForQuery);
      return;
    }
    choice_.assign(candidates_.size(), kNo);
    take_best(
        budget / 2, kForQuery,
        [&](size_t place) {
          // Under the paper's rule every entry writes.
          return (node(level, candidates_[place]) & kWrites) != 0;
        },
        [&](size_t place) { return query_score(level, candidates_[place]); });
    const float* key_scores = key_scores_ + p_.node_offset[level];
    take_best(
        budget / 2, kForKey, [&](size_t place) { return choice_[place] == kNo; },
        [&](size_t place) { return key_scores[candidates_[place]]; });
  }

  template <typename Eligible, typename Score>
  void take_best(size_t count, Choice choice, const Eligible& eligible, const Score& score) {
    keys_.clear();
    for (size_t place = 0; place < candidates_.size(); ++place) {
      if (eligible(place)) keys_.push_back(selection_key(score(place), place));
    }
    count = std::min(count, keys_.size());
    const auto last = keys_.begin() + static_cast<std::ptrdiff_t>(count);
    std::nth_element(keys_.begin(), last, keys_.end(), std::greater<>());
    for (auto key = keys_.begin(); key != last; ++key) choice_[place_of(*key)] = choice;
  }

  /// Marks what was chosen and makes its children the candidates of the level below.
  void descend(int64_t level) {
    const int64_t p = p_.pooling_factor;
    children_.clear();
    for (size_t place = 0; place < candidates_.size(); ++place) {
      if (choice_[place] == kNo) continue;
      Node& chosen = node(level, candidates_[place]);
      const bool children_write =
          (chosen & kWrites) != 0 && (!parameters_.causal_selection || choice_[place] == kForQuery);
      chosen |= kExpanded | (children_write ? kChildrenWrite : 0);
      if (level == 1) continue;
      for (int64_t child = candidates_[place] * p; child < (candidates_[place] + 1) * p; ++child) {
        children_.push_back(child);
        node(level - 1, child) = children_write ? kWrites : 0;
      }
    }
    candidates_.swap(children_);
  }

  void assign_ranks(int64_t level, int64_t window) {
    const int64_t p = p_.pooling_factor;
    Node& self = node(level, window);
    if ((self & kExpanded) != 0) {
      if (level == 1) {
        next_rank_ += p;
      } else {
        for (int64_t child = window * p; child < (window + 1) * p; ++child) assign_ranks(level - 1, child);
      }
    }
    self |= static_cast<Node>(next_rank_++ << kRankShift);
  }

  const Pyramid& p_;
  const SelectParameters& parameters_;
  const Geometry& geometry_;
  const float* query_scores_ = nullptr;
  const float* key_scores_ = nullptr;
  Node* nodes_ = nullptr;
  int64_t next_rank_ = 0;
  std::vector<int64_t> candidates_;  // windows of the current level, ascending
  std::vector<int64_t> children_;
  std::vector<Choice> choice_;
  std::vector<uint64_t> keys_;
};

}  // namespace

void select(const SelectParameters& parameters, const Geometry& geometry, const ParallelFor& parallel_for) {
  if (parameters.pyramid.num_nodes == 0) return;
  const int64_t tiles = parameters.pyramid.num_tiles;
  parallel_for(parameters.trees * tiles, 1, [&](int64_t begin, int64_t end) {
    TileSelector selector(parameters, geometry);
    for (int64_t item = begin; item < end; ++item) selector.run(item / tiles, item % tiles);
  });
}

}  // namespace lighthouse::kernels::cpu
