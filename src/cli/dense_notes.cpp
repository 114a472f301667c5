#include "cli/dense_notes.h"

#include <algorithm>
#include <iostream>
#include <set>

#include "lighthouse/geometry.h"
#include "text/number_text.h"

namespace lighthouse::cli {
namespace {

void note_dense(const train::RunConfig& config, const train::StageConfig& stage) {
  const Geometry geometry(config.data.context_length, config.attention_of(stage));
  if (!geometry.is_dense()) return;
  std::cerr << "Note: stage " << stage.name << " attends densely: Lighthouse attention would retain "
            << geometry.retained_length() << " of " << text::count_of(config.data.context_length, "token");
  if (geometry.num_levels() == 1) {
    std::cerr << ", as attention.num_levels = 1 asks.\n";
    return;
  }
  std::cerr << " (num_levels=" << geometry.num_levels() << ", pooling_factor=" << geometry.pooling_factor()
            << ", top_k=" << geometry.top_k()
            << "). A longer data.context_length or a smaller attention.top_k would gain.\n";
}

}  // namespace

void note_dense_stages(const train::RunConfig& config) {
  bool asked = false;
  for (const auto& stage : config.stages) {
    if (!stage.lighthouse) continue;
    asked = true;
    note_dense(config, stage);
  }
  const std::set<int64_t> dense(config.model.full_attention_layers.begin(), config.model.full_attention_layers.end());
  if (!asked || std::ssize(dense) < config.model.num_hidden_layers) return;
  std::cerr << "Note: all stages attend densely: model.full_attention_layers names every layer.\n";
}

}  // namespace lighthouse::cli
