#include "train/initial_weights.h"

#include <stdexcept>

#include "model/safetensors.h"
#include "train/config_difference.h"
#include "train/run_folder.h"
#include "train/stored_model.h"

namespace lighthouse::train {
namespace {

namespace fs = std::filesystem;

/// Keys of [model] that say nothing about the weights.
bool is_free(const std::string& key) {
  return key == "model.full_attention_layers" || key == "model.initializer_range";
}

/// Keys that change what is computed from the same weights.
bool is_optional(const std::string& key) { return key.starts_with("model.rope_") || key == "model.rms_norm_eps"; }

void expect_same_model(const RunConfig& initial, const RunConfig& config, bool allow_changes) {
  std::vector<ConfigDifference> differences;
  bool all_optional = true;
  for (const auto& difference : config_differences(initial, config)) {
    if (!difference.is_of_model() || is_free(difference.key)) continue;
    const bool optional = is_optional(difference.key);
    if (optional && allow_changes) continue;
    all_optional &= optional;
    differences.push_back(difference);
  }
  if (differences.empty()) return;
  std::string text;
  for (const auto& [key, before, now] : differences) {
    text += "\n  " + key + ": " + before + " there, " + now + " in the configuration";
  }
  throw std::runtime_error(
      "the weights of " + config.init + " are of another model:" + text +
      (all_optional ? "\nThe weights fit all the same: --allow-changes starts from them under the new values"
                    : "\nLeave keys of [model] out: they are then those of the weights' model"));
}

}  // namespace

RunConfig load_run_config(const fs::path& path, const std::vector<std::string>& overrides, const std::string& init,
                          bool resume) {
  RunConfig config = load_config(path, overrides, {.trains = false, .model_of_init = nullptr});
  const fs::path begun = fs::path(config.output_dir) / kConfigName;
  std::string source = init.empty() ? config.init : init;
  RunConfig other;
  const bool goes_on = resume && fs::exists(begun);
  if (goes_on) {
    other = load_config(begun);
    if (source.empty()) source = other.init;
  } else if (!source.empty()) {
    other = read_stored_config(source);
  }
  config = load_config(path, overrides, {.trains = true, .model_of_init = source.empty() ? nullptr : &other.model});
  config.init = source;
  // A run keeps the top_k that it was begun with, where that was a default of older times too.
  if (goes_on && !config.attention.top_k) config.attention.top_k = other.attention.top_k;
  return config;
}

std::string load_initial_weights(const RunConfig& config, model::Decoder& decoder, bool allow_changes) {
  const StoredModel stored = read_stored_model(config.init);
  expect_same_model(stored.config, config, allow_changes);
  model::load_parameters(*decoder, stored.weights, stored.file.string());
  return stored.remark;
}

}  // namespace lighthouse::train
