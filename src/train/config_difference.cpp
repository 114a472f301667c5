#include "train/config_difference.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <map>

#include "train/toml_text.h"

namespace lighthouse::train {
namespace {

using FlatConfig = std::map<std::string, std::string>;

void flatten(const toml::node& node, const std::string& name, FlatConfig& out) {
  if (const auto* table = node.as_table()) {
    for (const auto& [key, value] : *table) {
      flatten(value, (name.empty() ? "" : name + ".") + std::string(key.str()), out);
    }
  } else if (const auto* array = node.as_array(); array != nullptr && array->is_array_of_tables()) {
    for (size_t i = 0; i < array->size(); ++i) flatten(*array->get(i), name + "." + std::to_string(i), out);
  } else {
    out[name] = to_toml_text(node);
  }
}

/// With the default top_k as a number, so that naming it is no difference.
RunConfig with_top_k(RunConfig config) {
  const bool used = std::any_of(config.stages.begin(), config.stages.end(),
                                [](const StageConfig& stage) { return stage.lighthouse && !stage.top_k; });
  if (used) config.attention.top_k = Geometry(config.data.context_length, config.attention).top_k();
  return config;
}

FlatConfig flat(const RunConfig& given) {
  const RunConfig config = with_top_k(given);
  FlatConfig out;
  flatten(parse_toml(to_toml(config)), "", out);
  return out;
}

}  // namespace

bool ConfigDifference::is_harmless() const {
  static constexpr std::array kKeys = {"output_dir",
                                       "data.paths",
                                       "data.include",
                                       "data.exclude",
                                       "data.format",
                                       "training.validation_interval",
                                       "training.validation_sequences",
                                       "training.log_interval",
                                       "training.num_threads",
                                       "training.recompute",
                                       "training.max_skipped_steps",
                                       "checkpoint.interval",
                                       "checkpoint.keep"};
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

std::vector<ConfigDifference> config_differences(const RunConfig& before, const RunConfig& now) {
  const FlatConfig old = flat(before);
  const FlatConfig current = flat(now);
  const auto value_in = [](const FlatConfig& config, const std::string& key) {
    const auto found = config.find(key);
    return found == config.end() ? "absent" : found->second;
  };
  FlatConfig keys = old;
  keys.insert(current.begin(), current.end());
  std::vector<ConfigDifference> differences;
  for (const auto& [key, value] : keys) {
    ConfigDifference difference{key, value_in(old, key), value_in(current, key)};
    if (difference.before != difference.now) differences.push_back(std::move(difference));
  }
  return differences;
}

std::string to_text(const std::vector<ConfigDifference>& differences) {
  std::string text;
  for (const auto& [key, before, now] : differences) text += "\n  " + key + ": " + before + " before, " + now + " now";
  return text;
}

}  // namespace lighthouse::train
