// A run that takes a second: 2 layers, 12 Lighthouse steps and 6 dense ones on a text that repeats.
#pragma once

#include <string>

#include "temporary_folder.h"
#include "train/config.h"

namespace lighthouse::test {

inline train::StageConfig stage(bool lighthouse, int64_t steps) {
  train::StageConfig config;
  config.name = lighthouse ? "lighthouse" : "dense";
  config.lighthouse = lighthouse;
  config.steps = steps;
  return config;
}

inline train::RunConfig tiny_run(const TemporaryFolder& folder) {
  std::string text;
  for (int i = 0; i < 1500; ++i) text += "line " + std::to_string(i * i % 97) + " of a text that repeats\n";
  train::RunConfig config;
  config.seed = 5;
  config.output_dir = (folder.path() / "run").string();
  config.model.hidden_size = 32;
  config.model.intermediate_size = 64;
  config.model.num_hidden_layers = 2;
  config.model.num_attention_heads = 2;
  config.model.num_key_value_heads = 1;
  config.model.head_dim = 16;
  config.attention.num_levels = 3;
  config.attention.pooling_factor = 2;
  config.attention.top_k = 8;
  config.attention.causal_selection = true;
  config.data.paths = {folder.write("text", text).string()};
  config.data.context_length = 128;
  config.data.validation_fraction = 0.1;
  config.optimizer.learning_rate = 5e-3;
  config.schedule.kind = train::ScheduleKind::kConstant;
  config.training.validation_sequences = 3;
  config.stages = {stage(true, 12), stage(false, 6)};
  return config;
}

}  // namespace lighthouse::test
