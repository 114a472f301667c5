// Every key of a configuration: what is read is written, and read again.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "temporary_folder.h"
#include "train/config.h"
#include "train/config_difference.h"
#include "train/config_keys.h"

namespace lighthouse::test {
namespace {

constexpr const char* kPlain = R"(
[data]
paths = ["a"]
context_length = 512
[attention]
top_k = 16
[[stages]]
steps = 10
)";

/// A value that is not the default, for every key.
const std::map<std::string, std::string>& other_values() {
  static const std::map<std::string, std::string> values = {
      {"seed", "7"},
      {"output_dir", "\"runs/x\""},
      {"init", "\"runs/y\""},
      {"model.vocab_size", "300"},
      {"model.hidden_size", "64"},
      {"model.intermediate_size", "100"},
      {"model.num_hidden_layers", "3"},
      {"model.num_attention_heads", "8"},
      {"model.num_key_value_heads", "2"},
      {"model.head_dim", "10"},
      {"model.rope_theta", "5e5"},
      {"model.rope_scaling", "{factor = 2.0, original_max_position_embeddings = 99}"},
      {"model.rms_norm_eps", "1e-3"},
      {"model.tie_word_embeddings", "true"},
      {"model.initializer_range", "0.5"},
      {"model.full_attention_layers", "[1]"},
      {"attention.num_levels", "2"},
      {"attention.pooling_factor", "2"},
      {"attention.top_k", "32"},
      {"attention.num_tiles", "2"},
      {"attention.cover_prefix", "false"},
      {"attention.causal_selection", "true"},
      {"data.paths", "[\"b\"]"},
      {"data.include", "[\"*.py\"]"},
      {"data.exclude", "[\"old\"]"},
      {"data.format", "\"uint32\""},
      {"data.context_length", "1024"},
      {"data.validation_fraction", "0.125"},
      {"optimizer.learning_rate", "0.5"},
      {"optimizer.beta1", "0.5"},
      {"optimizer.beta2", "0.75"},
      {"optimizer.epsilon", "1e-4"},
      {"optimizer.weight_decay", "0.25"},
      {"optimizer.clip_norm", "3.5"},
      {"schedule.kind", "\"cosine\""},
      {"schedule.warmup_steps", "3"},
      {"schedule.decay_fraction", "0.75"},
      {"schedule.final_fraction", "0.125"},
      {"training.batch_size", "3"},
      {"training.accumulation_steps", "5"},
      {"training.validation_interval", "6"},
      {"training.validation_sequences", "9"},
      {"training.log_interval", "8"},
      {"training.num_threads", "2"},
      {"training.device", "\"cpu\""},
      {"training.precision", "\"bfloat16\""},
      {"training.recompute", "\"full\""},
      {"training.deterministic", "true"},
      {"training.inner_kernel", "\"flash\""},
      {"training.max_skipped_steps", "4"},
      {"checkpoint.interval", "11"},
      {"checkpoint.keep", "12"},
      {"stages.attention", "\"dense\""},
      {"stages.steps", "13"},
      {"stages.name", "\"first\""},
      {"stages.top_k", "8"},
  };
  return values;
}

/// "stages.steps" as "stages.0.steps".
std::string place_of(const std::string& key) {
  constexpr std::string_view kStages = "stages.";
  return key.starts_with(kStages) ? "stages.0." + key.substr(kStages.size()) : key;
}

TEST(Config, EveryKeyIsWrittenAndReadAgain) {
  std::set<std::string> known, tried;
  for (const auto& key : train::config_keys()) known.insert(key.key);
  for (const auto& [key, value] : other_values()) tried.insert(key);
  EXPECT_EQ(known, tried) << "this test must try every key";

  const train::RunConfig plain = train::parse_config(kPlain, "plain");
  for (const auto& [key, value] : other_values()) {
    const train::RunConfig changed = train::parse_config(kPlain, "changed", {place_of(key) + "=" + value});
    const std::string text = train::to_toml(changed);
    EXPECT_NE(text, train::to_toml(plain)) << key << " is lost where a configuration is written";
    const train::RunConfig again = train::parse_config(text, "again");
    EXPECT_EQ(train::to_toml(again), text) << key;
    std::set<std::string> differences;
    for (const auto& difference : train::config_differences(plain, again)) differences.insert(difference.key);
    const auto names_it = [&](const std::string& name) { return name.starts_with(place_of(key)); };
    EXPECT_TRUE(std::any_of(differences.begin(), differences.end(), names_it)) << key << " is no difference";
  }
}

TEST(Config, TheLastOverrideOfAKeyCounts) {
  const auto seed = [](const std::vector<std::string>& overrides) {
    return train::parse_config("seed = 1\n" + std::string(kPlain), "test", overrides).seed;
  };
  EXPECT_EQ(seed({}), 1);
  EXPECT_EQ(seed({"seed=2"}), 2);
  EXPECT_EQ(seed({"seed=2", "seed=3"}), 3);
}

}  // namespace
}  // namespace lighthouse::test
