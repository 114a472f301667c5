// Whether nodes are a tree of given sizes: the walk that gives ranks, once more.
#include "kernels/cpu/kernels.h"

namespace lighthouse::kernels::cpu {
namespace {

class TreeChecker {
 public:
  TreeChecker(const Pyramid& pyramid, const Node* nodes) : p_(pyramid), nodes_(nodes) {}

  std::optional<TreeFault> run() {
    const int64_t coarsest = p_.num_levels - 1;
    for (int64_t window = 0; window < p_.num_coarsest_windows; ++window) {
      if (!is_subtree(coarsest, window)) return fault_;
    }
    if (next_rank_ == p_.tail_rank) return std::nullopt;
    // One in itself, of another budget.
    return TreeFault{coarsest, p_.num_coarsest_windows - 1, next_rank_ - 1, p_.tail_rank - 1};
  }

 private:
  Node node(int64_t level, int64_t window) const { return nodes_[p_.node_offset[level] + window]; }

  bool is_subtree(int64_t level, int64_t window) {
    const Node word = node(level, window);
    const bool expanded = word != kNotRetained && (word & kExpanded) != 0;
    if (level == 1) {
      if (expanded) next_rank_ += p_.pooling_factor;
    } else {
      for (int64_t child = window * p_.pooling_factor; child < (window + 1) * p_.pooling_factor; ++child) {
        if (!(expanded ? is_subtree(level - 1, child) : is_absent(level - 1, child))) return false;
      }
    }
    const int64_t rank = next_rank_++;
    if (word != kNotRetained && word >> kRankShift == rank) return true;
    fault_ = {level, window, word >> kRankShift, rank};
    return false;
  }

  bool is_absent(int64_t level, int64_t window) {
    if (node(level, window) != kNotRetained) {
      fault_ = {level, window, node(level, window) >> kRankShift, -1};
      return false;
    }
    if (level == 1) return true;
    for (int64_t child = window * p_.pooling_factor; child < (window + 1) * p_.pooling_factor; ++child) {
      if (!is_absent(level - 1, child)) return false;
    }
    return true;
  }

  const Pyramid& p_;
  const Node* const nodes_;
  int64_t next_rank_ = 0;
  TreeFault fault_;
};

}  // namespace

std::optional<TreeFault> find_tree_fault(const Pyramid& pyramid, const Node* nodes) {
  if (pyramid.num_nodes == 0) return std::nullopt;
  return TreeChecker(pyramid, nodes).run();
}

}  // namespace lighthouse::kernels::cpu
