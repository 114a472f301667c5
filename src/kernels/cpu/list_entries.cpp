// The tree as lists: flat indices in gathered order, and which of them write.
#include "kernels/cpu/kernels.h"

namespace lighthouse::kernels::cpu {
namespace {

class TreeLister {
 public:
  TreeLister(const ListParameters& parameters, int64_t tree)
      : p_(parameters.pyramid),
        nodes_(parameters.nodes + tree * p_.num_nodes),
        entries_(parameters.entries == nullptr ? nullptr : parameters.entries + tree * p_.retained_length),
        writes_(parameters.writes == nullptr ? nullptr : parameters.writes + tree * p_.retained_length) {}

  void run() {
    for (int64_t level = 1; level < p_.num_levels; ++level) {
      const int64_t level_offset = p_.num_tokens + p_.node_offset[level];
      const Node* level_nodes = nodes_ + p_.node_offset[level];
      for (int64_t window = 0; window < p_.num_windows[level]; ++window) {
        const Node node = level_nodes[window];
        if (node == kNotRetained) continue;
        const int64_t rank = node >> kRankShift;
        put(rank, level_offset + window, (node & kWrites) != 0);
        if (level == 1 && (node & kExpanded) != 0) put_tokens(rank, window, (node & kChildrenWrite) != 0);
      }
    }
    for (int64_t token = p_.tail_begin; token < p_.num_tokens; ++token) {
      put(p_.tail_rank + token - p_.tail_begin, token, true);
    }
  }

 private:
  void put(int64_t rank, int64_t flat_index, bool writes) {
    if (entries_ != nullptr) entries_[rank] = static_cast<int32_t>(flat_index);
    if (writes_ != nullptr) writes_[rank] = writes;
  }

  void put_tokens(int64_t parent_rank, int64_t parent, bool write) {
    const int64_t p = p_.pooling_factor;
    for (int64_t child = 0; child < p; ++child) put(parent_rank - p + child, parent * p + child, write);
  }

  const Pyramid& p_;
  const Node* nodes_;
  int32_t* entries_;
  bool* writes_;
};

}  // namespace

void list_entries(const ListParameters& parameters, const ParallelFor& parallel_for) {
  parallel_for(parameters.trees, 1, [&](int64_t begin, int64_t end) {
    for (int64_t tree = begin; tree < end; ++tree) TreeLister(parameters, tree).run();
  });
}

}  // namespace lighthouse::kernels::cpu
