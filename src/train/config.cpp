#include "train/config.h"

#include <toml++/toml.h>
#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <stdexcept>

#include "train/toml_text.h"

namespace lighthouse::train {
namespace {

[[noreturn]] void fail(const std::string& message) { throw std::invalid_argument(message); }

size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row[b.size()];
}

std::string text_of(const toml::node& node) {
  std::ostringstream text;
  node.visit([&](const auto& value) {
    if constexpr (toml::is_value<decltype(value)>) {
      text << value;
    } else {
      text << (toml::is_table<decltype(value)> ? "a table" : "an array");
    }
  });
  return text.str();
}

/// Takes keys out of one table; what is left at the end is unknown.
class Section {
 public:
  Section(const toml::table& table, std::string name, std::string source)
      : table_(table), name_(std::move(name)), source_(std::move(source)) {}

  void integer(const char* key, int64_t& out, int64_t least, int64_t most = std::numeric_limits<int64_t>::max()) {
    if (const toml::node* node = find(key)) out = integer_of(key, *node, least, most);
  }

  void integer(const char* key, std::optional<int64_t>& out, int64_t least) {
    if (const toml::node* node = find(key)) out = integer_of(key, *node, least, std::numeric_limits<int64_t>::max());
  }

  void number(const char* key, double& out, double least, double most = std::numeric_limits<double>::max()) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto value = node->value<double>();
    if (!node->is_number() || !value || !std::isfinite(*value) || *value < least || *value > most) {
      std::ostringstream expected;
      expected << "a number of at least " << least;
      if (most < std::numeric_limits<double>::max()) expected << " and at most " << most;
      fail_value(key, expected.str(), *node);
    }
    out = *value;
  }

  void boolean(const char* key, bool& out) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    if (!node->is_boolean()) fail_value(key, "true or false", *node);
    out = *node->value<bool>();
  }

  void text(const char* key, std::string& out) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    if (!node->is_string()) fail_value(key, "text", *node);
    out = *node->value<std::string>();
  }

  void texts(const char* key, std::vector<std::string>& out) {
    for_each(
        key,
        [&](const toml::node& node) {
          if (!node.is_string()) fail_value(key, "an array of texts", node);
          out.push_back(*node.value<std::string>());
        },
        [&] { out.clear(); });
  }

  void integers(const char* key, std::vector<int64_t>& out) {
    for_each(
        key, [&](const toml::node& node) { out.push_back(integer_of(key, node, 0, 1 << 20)); }, [&] { out.clear(); });
  }

  /// One of the named values.
  template <typename T>
  void choice(const char* key, T& out, const std::vector<std::pair<std::string, T>>& choices) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    std::string expected;
    for (const auto& [name, value] : choices) {
      if (node->is_string() && *node->value<std::string>() == name) {
        out = value;
        return;
      }
      expected += (expected.empty() ? "\"" : ", \"") + name + "\"";
    }
    fail_value(key, "one of " + expected, *node);
  }

  std::optional<Section> table(const char* key) {
    const toml::node* node = find(key);
    if (node == nullptr) return std::nullopt;
    if (!node->is_table()) fail_value(key, "a table", *node);
    return Section(*node->as_table(), full_name(key), source_);
  }

  std::vector<Section> tables(const char* key) {
    std::vector<Section> sections;
    for_each(
        key,
        [&](const toml::node& node) {
          if (!node.is_table()) fail_value(key, "an array of tables", node);
          sections.emplace_back(*node.as_table(), full_name(key) + "." + std::to_string(sections.size()), source_);
        },
        [] {});
    return sections;
  }

  /// Throws if a key was not asked for.
  void finish() const {
    for (const auto& [key, node] : table_) {
      const std::string name(key.str());
      if (known_.contains(name)) continue;
      const auto nearest = std::min_element(known_.begin(), known_.end(), [&](const auto& a, const auto& b) {
        return edit_distance(a, name) < edit_distance(b, name);
      });
      fail(source_ + ": unknown key " + full_name(name.c_str()) +
           (nearest == known_.end() ? "" : "; the nearest known one is " + full_name(nearest->c_str())));
    }
  }

  bool has(const char* key) const { return table_.contains(key); }

  [[noreturn]] void fail_value(const char* key, const std::string& expected, const toml::node& got) const {
    fail(source_ + ": " + full_name(key) + " must be " + expected + "; got " + text_of(got));
  }

 private:
  std::string full_name(const char* key) const { return name_.empty() ? key : name_ + "." + key; }

  const toml::node* find(const char* key) {
    known_.insert(key);
    return table_.get(key);
  }

  int64_t integer_of(const char* key, const toml::node& node, int64_t least, int64_t most) const {
    const auto value = node.value_exact<int64_t>();  // value() casts what does not fit
    if (!value || *value < least || *value > most) {
      std::string expected = "a whole number of at least " + std::to_string(least);
      if (most < std::numeric_limits<int64_t>::max()) expected += " and at most " + std::to_string(most);
      fail_value(key, expected, node);
    }
    return *value;
  }

  template <typename Each, typename Start>
  void for_each(const char* key, const Each& each, const Start& start) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    if (!node->is_array()) fail_value(key, "an array", *node);
    start();
    for (const toml::node& item : *node->as_array()) each(item);
  }

  const toml::table& table_;
  std::string name_;
  std::string source_;
  std::set<std::string> known_;
};

const std::vector<std::pair<std::string, ScheduleKind>>& schedule_kinds() {
  static const std::vector<std::pair<std::string, ScheduleKind>> kinds = {
      {"constant", ScheduleKind::kConstant},
      {"linear", ScheduleKind::kLinear},
      {"cosine", ScheduleKind::kCosine},
      {"constant-then-decay", ScheduleKind::kConstantThenDecay}};
  return kinds;
}

const std::vector<std::pair<std::string, DataFormat>>& data_formats() {
  static const std::vector<std::pair<std::string, DataFormat>> formats = {
      {"auto", DataFormat::kAuto},     {"text", DataFormat::kText},  {"uint16", DataFormat::kUint16},
      {"uint32", DataFormat::kUint32}, {"llm.c", DataFormat::kLlmC}, {"megatron", DataFormat::kMegatron}};
  return formats;
}

const std::vector<std::pair<std::string, Device>>& devices() {
  static const std::vector<std::pair<std::string, Device>> names = {
      {"auto", Device::kAuto}, {"cpu", Device::kCpu}, {"cuda", Device::kCuda}};
  return names;
}

const std::vector<std::pair<std::string, Precision>>& precisions() {
  static const std::vector<std::pair<std::string, Precision>> names = {
      {"auto", Precision::kAuto}, {"float32", Precision::kFloat32}, {"bfloat16", Precision::kBFloat16}};
  return names;
}

const std::vector<std::pair<std::string, std::optional<model::Recompute>>>& recompute_policies() {
  static const std::vector<std::pair<std::string, std::optional<model::Recompute>>> names = {
      {"auto", std::nullopt},
      {"none", model::Recompute::kNone},
      {"selective", model::Recompute::kSelective},
      {"full", model::Recompute::kFull}};
  return names;
}

template <typename T>
std::string name_of(const T& value, const std::vector<std::pair<std::string, T>>& names) {
  const auto found = std::find_if(names.begin(), names.end(), [&](const auto& name) { return name.second == value; });
  return found == names.end() ? std::string() : found->first;
}

/// Keys that are left out are those of `other`, or have defaults.
void read_model(Section section, const model::ModelConfig* other, model::ModelConfig& c) {
  if (other != nullptr) c = *other;
  section.integer("vocab_size", c.vocab_size, 256);
  section.integer("hidden_size", c.hidden_size, 1);
  section.integer("intermediate_size", c.intermediate_size, 1);
  section.integer("num_hidden_layers", c.num_hidden_layers, 1);
  section.integer("num_attention_heads", c.num_attention_heads, 1);
  if (other == nullptr) c.num_key_value_heads = c.num_attention_heads;
  section.integer("num_key_value_heads", c.num_key_value_heads, 1);
  if (other == nullptr) c.head_dim = std::max<int64_t>(1, c.hidden_size / c.num_attention_heads);
  section.integer("head_dim", c.head_dim, 1);
  section.number("rope_theta", c.rope_theta, 1.0);
  if (auto scaling = section.table("rope_scaling")) {
    model::RopeScaling s;
    scaling->number("factor", s.factor, 1.0);
    scaling->number("low_freq_factor", s.low_freq_factor, 0.0);
    scaling->number("high_freq_factor", s.high_freq_factor, 0.0);
    scaling->integer("original_max_position_embeddings", s.original_max_position_embeddings, 1);
    scaling->finish();
    if (s.high_freq_factor <= s.low_freq_factor)
      fail("model.rope_scaling: high_freq_factor must exceed low_freq_factor");
    c.rope_scaling = s;
  }
  section.number("rms_norm_eps", c.rms_norm_eps, 0.0);
  section.boolean("tie_word_embeddings", c.tie_word_embeddings);
  section.number("initializer_range", c.initializer_range, 0.0);
  section.integers("full_attention_layers", c.full_attention_layers);
  section.finish();
}

void read_attention(Section section, SelectionOptions& a) {
  section.integer("num_levels", a.num_levels, 1, Geometry::kMaxLevels);
  section.integer("pooling_factor", a.pooling_factor, 2);
  section.integer("top_k", a.top_k, 2);
  section.integer("num_tiles", a.num_tiles, 1);
  section.boolean("cover_prefix", a.cover_prefix);
  section.boolean("causal_selection", a.causal_selection);
  section.finish();
}

void read_data(Section section, DataConfig& d) {
  section.texts("paths", d.paths);
  section.texts("include", d.include);
  section.texts("exclude", d.exclude);
  section.choice("format", d.format, data_formats());
  section.integer("context_length", d.context_length, 1);
  section.number("validation_fraction", d.validation_fraction, 0.0, 0.5);
  section.finish();
}

void read_optimizer(Section section, OptimizerConfig& o) {
  section.number("learning_rate", o.learning_rate, 0.0);
  section.number("beta1", o.beta1, 0.0, 0.999999);
  section.number("beta2", o.beta2, 0.0, 0.999999);
  section.number("epsilon", o.epsilon, 1e-30);  // with 0, what has no gradient yet becomes 0 / 0
  section.number("weight_decay", o.weight_decay, 0.0);
  section.number("clip_norm", o.clip_norm, 0.0);
  section.finish();
}

void read_schedule(Section section, ScheduleConfig& s) {
  section.choice("kind", s.kind, schedule_kinds());
  section.integer("warmup_steps", s.warmup_steps, 0);
  section.number("decay_fraction", s.decay_fraction, 0.0, 1.0);
  section.number("final_fraction", s.final_fraction, 0.0, 1.0);
  section.finish();
}

void read_training(Section section, TrainingConfig& t) {
  section.integer("batch_size", t.batch_size, 1);
  section.integer("accumulation_steps", t.accumulation_steps, 1);
  section.integer("validation_interval", t.validation_interval, 0);
  section.integer("validation_sequences", t.validation_sequences, 0);
  section.integer("log_interval", t.log_interval, 1);
  section.integer("num_threads", t.num_threads, 0, 4096);
  section.choice("device", t.device, devices());
  section.choice("precision", t.precision, precisions());
  section.choice("recompute", t.recompute, recompute_policies());
  section.boolean("deterministic", t.deterministic);
  section.integer("max_skipped_steps", t.max_skipped_steps, 1);
  section.finish();
}

void read_checkpoint(Section section, CheckpointConfig& c) {
  section.integer("interval", c.interval, 0);
  section.integer("keep", c.keep, 1);
  section.finish();
}

StageConfig read_stage(Section section, const std::string& source) {
  StageConfig stage;
  section.choice<bool>("attention", stage.lighthouse, {{"lighthouse", true}, {"dense", false}});
  section.text("name", stage.name);
  section.integer("steps", stage.steps, 0);
  section.integer("top_k", stage.top_k, 2);
  section.finish();
  if (!section.has("steps")) fail(source + ": every stage needs its steps; got one without");
  return stage;
}

/// Stages without a name get their attention's, numbered from the second on. Names tell stages apart in the metrics.
void name_stages(std::vector<StageConfig>& stages, const std::string& source) {
  std::set<std::string> names;
  for (auto& stage : stages) {
    if (!stage.name.empty() && !names.insert(stage.name).second) {
      fail(source + ": every stage needs a name of its own; got two named " + stage.name);
    }
  }
  for (auto& stage : stages) {
    if (!stage.name.empty()) continue;
    const std::string kind = stage.lighthouse ? "lighthouse" : "dense";
    std::string name = kind;
    for (int number = 2; !names.insert(name).second; ++number) name = kind + "-" + std::to_string(number);
    stage.name = name;
  }
}

/// "stages.0.steps=20" and "stages[0].steps=20" alike.
void apply_override(toml::table& root, const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) fail("--set expects key=value; got " + text);
  std::string path = text.substr(0, equals);
  std::replace(path.begin(), path.end(), '[', '.');
  std::erase(path, ']');
  const std::string value_text = text.substr(equals + 1);

  std::vector<std::string> keys;
  std::istringstream parts(path);
  for (std::string key; std::getline(parts, key, '.');) keys.push_back(key);
  toml::node* node = &root;
  for (size_t i = 0; i + 1 < keys.size(); ++i) {
    if (auto* array = node->as_array()) {
      const bool digits =
          !keys[i].empty() && keys[i].size() < 6 && keys[i].find_first_not_of("0123456789") == std::string::npos;
      node = digits ? array->get(std::stoul(keys[i])) : nullptr;
    } else if (auto* table = node->as_table()) {
      table->insert(keys[i], toml::table{});  // kept as it is where there is one
      node = table->get(keys[i]);
    } else {
      node = nullptr;
    }
    if (node == nullptr) fail("--set " + text + ": " + keys[i] + " is not in the configuration");
  }
  auto* table = node->as_table();
  if (table == nullptr || keys.empty()) fail("--set " + text + ": expected the key of a table");
  toml::table value;
  try {
    value = parse_toml("value = " + value_text, "--set " + text);
  } catch (const toml::parse_error&) {
    value.insert_or_assign("value", value_text);
  }
  if (value.size() != 1) fail("--set " + text + ": expected one value");
  table->insert_or_assign(keys.back(), *value.get("value"));
}

RunConfig read_config(const toml::table& table, const std::string& source, const ConfigUse& use) {
  RunConfig config;
  Section root(table, "", source);
  root.integer("seed", config.seed, 0);
  root.text("output_dir", config.output_dir);
  root.text("init", config.init);
  const toml::table no_model;
  auto model = root.table("model");
  if (!model) model.emplace(no_model, "model", source);
  read_model(std::move(*model), use.model_of_init, config.model);
  if (auto section = root.table("attention")) read_attention(*section, config.attention);
  if (auto section = root.table("data")) read_data(*section, config.data);
  if (auto section = root.table("optimizer")) read_optimizer(*section, config.optimizer);
  if (auto section = root.table("schedule")) read_schedule(*section, config.schedule);
  if (auto section = root.table("training")) read_training(*section, config.training);
  if (auto section = root.table("checkpoint")) read_checkpoint(*section, config.checkpoint);
  for (auto& section : root.tables("stages")) config.stages.push_back(read_stage(section, source));
  name_stages(config.stages, source);
  root.finish();

  if (use.trains && config.stages.empty()) fail(source + ": expected at least one [[stages]]; got none");
  if (use.trains && config.data.paths.empty())
    fail(source + ": data.paths must name at least one file or folder; got none");
  for (const auto& stage : config.stages) {
    if (!stage.lighthouse) continue;
    try {
      retained_length(config.data.context_length, config.attention_of(stage));
    } catch (const std::invalid_argument& error) {
      fail(source + ": attention of stage " + stage.name + ": " + error.what());
    }
  }
  int64_t steps = 0;
  int64_t tokens = 0;
  bool too_many = false;
  for (const auto& stage : config.stages) too_many |= __builtin_add_overflow(steps, stage.steps, &steps);
  too_many |= __builtin_mul_overflow(config.training.batch_size, config.training.accumulation_steps, &tokens);
  too_many |= __builtin_mul_overflow(tokens, config.data.context_length, &tokens);
  too_many |= __builtin_mul_overflow(tokens, steps, &tokens);
  if (too_many) fail(source + ": batch_size x accumulation_steps x context_length x steps must be below 2^63");
  if (config.attention.causal_selection && !config.attention.cover_prefix) {
    fail(source + ": attention.cover_prefix must be true with causal_selection; got false");
  }
  return config;
}

toml::array to_array(const auto& values) {
  toml::array array;
  for (const auto& value : values) array.push_back(value);
  return array;
}

}  // namespace

int64_t RunConfig::total_steps() const {
  int64_t steps = 0;
  for (const auto& stage : stages) steps += stage.steps;
  return steps;
}

int64_t RunConfig::tokens_per_step() const {
  return training.batch_size * training.accumulation_steps * data.context_length;
}

AttentionOptions RunConfig::attention_of(const StageConfig& stage) const {
  AttentionOptions options;
  static_cast<SelectionOptions&>(options) = attention;
  if (stage.top_k) options.top_k = stage.top_k;
  return options;
}

RunConfig parse_config(const std::string& text, const std::string& source, const std::vector<std::string>& overrides,
                       const ConfigUse& use) {
  toml::table table;
  try {
    table = parse_toml(text, source);
  } catch (const toml::parse_error& error) {
    std::ostringstream message;
    message << source << ":" << error.source().begin.line << ": " << error.description();
    fail(message.str());
  }
  for (const auto& text_override : overrides) apply_override(table, text_override);
  return read_config(table, source, use);
}

RunConfig load_config(const std::filesystem::path& path, const std::vector<std::string>& overrides,
                      const ConfigUse& use) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file || std::filesystem::is_directory(path)) fail("cannot read the configuration " + path.string());
  return parse_config(text.str(), path.string(), overrides, use);
}

std::string to_toml(const RunConfig& c) {
  toml::table model{{"vocab_size", c.model.vocab_size},
                    {"hidden_size", c.model.hidden_size},
                    {"intermediate_size", c.model.intermediate_size},
                    {"num_hidden_layers", c.model.num_hidden_layers},
                    {"num_attention_heads", c.model.num_attention_heads},
                    {"num_key_value_heads", c.model.num_key_value_heads},
                    {"head_dim", c.model.head_dim},
                    {"rope_theta", c.model.rope_theta},
                    {"rms_norm_eps", c.model.rms_norm_eps},
                    {"tie_word_embeddings", c.model.tie_word_embeddings},
                    {"initializer_range", c.model.initializer_range},
                    {"full_attention_layers", to_array(c.model.full_attention_layers)}};
  if (const auto& s = c.model.rope_scaling) {
    model.insert("rope_scaling",
                 toml::table{{"factor", s->factor},
                             {"low_freq_factor", s->low_freq_factor},
                             {"high_freq_factor", s->high_freq_factor},
                             {"original_max_position_embeddings", s->original_max_position_embeddings}});
  }
  toml::table attention{{"num_levels", c.attention.num_levels},
                        {"pooling_factor", c.attention.pooling_factor},
                        {"cover_prefix", c.attention.cover_prefix},
                        {"causal_selection", c.attention.causal_selection}};
  if (c.attention.top_k) attention.insert("top_k", *c.attention.top_k);
  if (c.attention.num_tiles) attention.insert("num_tiles", *c.attention.num_tiles);
  toml::array stages;
  for (const auto& stage : c.stages) {
    toml::table table{
        {"name", stage.name}, {"attention", stage.lighthouse ? "lighthouse" : "dense"}, {"steps", stage.steps}};
    if (stage.top_k) table.insert("top_k", *stage.top_k);
    stages.push_back(table);
  }
  const toml::table root{{"seed", c.seed},
                         {"output_dir", c.output_dir},
                         {"init", c.init},
                         {"model", model},
                         {"attention", attention},
                         {"data", toml::table{{"paths", to_array(c.data.paths)},
                                              {"include", to_array(c.data.include)},
                                              {"exclude", to_array(c.data.exclude)},
                                              {"format", name_of(c.data.format, data_formats())},
                                              {"context_length", c.data.context_length},
                                              {"validation_fraction", c.data.validation_fraction}}},
                         {"optimizer", toml::table{{"learning_rate", c.optimizer.learning_rate},
                                                   {"beta1", c.optimizer.beta1},
                                                   {"beta2", c.optimizer.beta2},
                                                   {"epsilon", c.optimizer.epsilon},
                                                   {"weight_decay", c.optimizer.weight_decay},
                                                   {"clip_norm", c.optimizer.clip_norm}}},
                         {"schedule", toml::table{{"kind", name_of(c.schedule.kind, schedule_kinds())},
                                                  {"warmup_steps", c.schedule.warmup_steps},
                                                  {"decay_fraction", c.schedule.decay_fraction},
                                                  {"final_fraction", c.schedule.final_fraction}}},
                         {"training", toml::table{{"batch_size", c.training.batch_size},
                                                  {"accumulation_steps", c.training.accumulation_steps},
                                                  {"validation_interval", c.training.validation_interval},
                                                  {"validation_sequences", c.training.validation_sequences},
                                                  {"log_interval", c.training.log_interval},
                                                  {"num_threads", c.training.num_threads},
                                                  {"device", name_of(c.training.device, devices())},
                                                  {"precision", name_of(c.training.precision, precisions())},
                                                  {"recompute", name_of(c.training.recompute, recompute_policies())},
                                                  {"deterministic", c.training.deterministic},
                                                  {"max_skipped_steps", c.training.max_skipped_steps}}},
                         {"checkpoint", toml::table{{"interval", c.checkpoint.interval}, {"keep", c.checkpoint.keep}}},
                         {"stages", stages}};
  std::ostringstream text;
  text << root << "\n";
  return text.str();
}

}  // namespace lighthouse::train
