#include "train/config.h"
#include "text/utf8.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "text/nearest_word.h"
#include "text/number_text.h"
#include "train/config_section.h"
#include "train/config_source.h"
#include "train/toml_text.h"

namespace lighthouse::train {
namespace {

/// Widths and counts of heads, and layers: their products fit 64 bits.
constexpr int64_t kMostWidth = int64_t{1} << 24;
constexpr int64_t kMostHeads = 65536;
constexpr int64_t kMostLayers = 65536;
constexpr int64_t kMostVocabulary = std::numeric_limits<int32_t>::max();
/// Of numbers that have no natural bound. Beyond it they would not be float32 numbers, or their squares would not.
constexpr double kMostNumber = 1e15;
constexpr double kMostRate = 1e30;  // nobody takes its square
constexpr size_t kMostBytes = size_t{4} << 20;

[[noreturn]] void fail(const std::string& message) { throw std::invalid_argument(message); }

using Section = ConfigSection;

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
      {"auto", DataFormat::kAuto},        {"text", DataFormat::kText},     {"bytes", DataFormat::kBytes},
      {"uint16", DataFormat::kUint16},    {"uint32", DataFormat::kUint32}, {"llm.c", DataFormat::kLlmC},
      {"megatron", DataFormat::kMegatron}};
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

/// A layer that is named twice is one layer: what counts them must not count it twice.
void keep_once(std::vector<int64_t>& layers) {
  std::set<int64_t> seen;
  std::erase_if(layers, [&](int64_t layer) { return !seen.insert(layer).second; });
}

/// Keys that are left out are those of `other`, or have defaults.
void read_model(Section section, const std::string& source, const model::ModelConfig* other, model::ModelConfig& c) {
  if (other != nullptr) c = *other;
  section.integer("vocab_size", c.vocab_size, 256, kMostVocabulary);
  section.integer("hidden_size", c.hidden_size, 1, kMostWidth);
  section.integer("intermediate_size", c.intermediate_size, 1, kMostWidth);
  section.integer("num_hidden_layers", c.num_hidden_layers, 1, kMostLayers);
  section.integer("num_attention_heads", c.num_attention_heads, 1, kMostHeads);
  if (other == nullptr) c.num_key_value_heads = c.num_attention_heads;
  section.integer("num_key_value_heads", c.num_key_value_heads, 1, kMostHeads);
  if (other == nullptr) c.head_dim = std::max<int64_t>(1, c.hidden_size / c.num_attention_heads);
  section.integer("head_dim", c.head_dim, 1, kMostHeads);
  section.number("rope_theta", c.rope_theta, 1.0, kMostNumber);
  if (auto scaling = section.table("rope_scaling")) {
    model::RopeScaling s;
    scaling->number("factor", s.factor, 1.0, kMostNumber);
    scaling->number("low_freq_factor", s.low_freq_factor, 0.0, kMostNumber);
    scaling->number("high_freq_factor", s.high_freq_factor, 0.0, kMostNumber);
    scaling->integer("original_max_position_embeddings", s.original_max_position_embeddings, 1);
    scaling->finish();
    if (s.high_freq_factor <= s.low_freq_factor)
      fail(source + ": model.rope_scaling: high_freq_factor must exceed low_freq_factor");
    c.rope_scaling = s;
  }
  section.number("rms_norm_eps", c.rms_norm_eps, 0.0, 1.0);
  section.boolean("tie_word_embeddings", c.tie_word_embeddings);
  section.number("initializer_range", c.initializer_range, 0.0, kMostNumber);
  section.integers("full_attention_layers", c.full_attention_layers);
  keep_once(c.full_attention_layers);
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
  section.number("learning_rate", o.learning_rate, 0.0, kMostRate);
  section.number("beta1", o.beta1, 0.0, 0.999999);
  section.number("beta2", o.beta2, 0.0, 0.999999);
  section.number("epsilon", o.epsilon, 1e-30, kMostNumber);  // with 0, what has no gradient yet becomes 0 / 0
  section.number("weight_decay", o.weight_decay, 0.0, kMostNumber);
  section.number("clip_norm", o.clip_norm, 0.0, kMostNumber);
  section.finish();
}

void read_schedule(Section section, ScheduleConfig& s) {
  section.choice("kind", s.kind, schedule_kinds());
  section.integer("warmup_steps", s.warmup_steps, 0);
  section.number("decay_fraction", s.decay_fraction, 0.0, 1.0);
  section.number("final_fraction", s.final_fraction, 0.0, 1.0);
  section.finish();
}

std::vector<std::pair<std::string, InnerKernel>> inner_kernels() {
  std::vector<std::pair<std::string, InnerKernel>> named;
  for (const auto kernel :
       {InnerKernel::kAuto, InnerKernel::kCudnn, InnerKernel::kFlash, InnerKernel::kEfficient, InnerKernel::kMath}) {
    named.emplace_back(lighthouse::name_of(kernel), kernel);
  }
  return named;
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
  section.choice("inner_kernel", t.inner_kernel, inner_kernels());
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

RunConfig read_config(const toml::table& table, const ConfigSource& origin, const ConfigUse& use) {
  RunConfig config;
  Section root(table, "", origin);
  const std::string source = origin.whole();
  root.integer("seed", config.seed, 0, std::numeric_limits<int64_t>::max());
  root.text("output_dir", config.output_dir);
  root.text("init", config.init);
  const toml::table no_model;
  auto model = root.table("model");
  if (!model) model.emplace(no_model, "model", origin);
  read_model(std::move(*model), source, use.model_of_init, config.model);
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
  if (config.training.deterministic && config.training.inner_kernel == InnerKernel::kCudnn) {
    fail(source +
         ": training.inner_kernel must not be \"cudnn\" with training.deterministic: its gradients differ from run "
         "to run; \"auto\" and \"flash\" are deterministic then");
  }
  return config;
}

std::vector<std::string> names_of_configurations(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator item(folder, error), end; !error && item != end; item.increment(error)) {
    if (item->path().extension() == ".toml") names.push_back(item->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// For a folder that was named in place of a file.
std::string what_a_folder_has(const std::filesystem::path& folder) {
  const auto names = names_of_configurations(folder);
  return "expected a TOML file or the folder of a run; got a folder " +
         (names.empty() ? "without one" : "with " + text::joined(names));
}

/// `reason`: the system's, of opening it.
std::string why_not_read(const std::filesystem::path& path, int reason) {
  if (reason != ENOENT) return std::error_code(reason, std::generic_category()).message();
  std::error_code error;
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  if (!std::filesystem::is_directory(folder, error)) return "there is no folder " + folder.string();
  const auto names = names_of_configurations(folder);
  if (names.empty()) return "no such file";
  const auto nearest = text::nearest_word(path.filename().string(), names);
  return "no such file; " +
         (nearest ? "did you mean " +
                        (path.has_parent_path() ? folder / *nearest : std::filesystem::path(*nearest)).string() + "?"
                  : folder.string() + " has " + text::joined(names));
}

/// TOML is UTF-8, and names of files need not be: a name that is not stands with its bytes as \xNN.
std::string as_utf8(const std::string& name) { return text::is_utf8(name) ? name : text::visible(name); }

std::vector<std::string> all_as_utf8(std::vector<std::string> names) {
  for (auto& name : names) name = as_utf8(name);
  return names;
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
  options.inner_kernel = training.inner_kernel;
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
  ConfigSource origin{source, {}};
  for (const auto& text : overrides) origin.overrides.emplace_back(text);
  for (const auto& one : origin.overrides) one.apply(table);
  return read_config(table, origin, use);
}

RunConfig load_config(const std::filesystem::path& path, const std::vector<std::string>& overrides,
                      const ConfigUse& use) {
  if (std::filesystem::is_directory(path))
    fail("cannot read the configuration " + path.string() + ": " + what_a_folder_has(path));
  if (path.extension() == ".safetensors")
    fail("cannot read the configuration " + path.string() +
         ": expected a TOML file or the folder of a run; got weights");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("cannot read the configuration " + path.string() + ": " + why_not_read(path, errno));
  // A file of weights or data is not read to its end.
  std::string text(kMostBytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) fail("cannot read the configuration " + path.string() + ": reading it failed");
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() == kMostBytes)
    fail("cannot read the configuration " + path.string() + ": expected a TOML file of less than " +
         text::bytes_text(static_cast<double>(kMostBytes)) + "; got a larger one");
  return parse_config(text, path.string(), overrides, use);
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
                         {"output_dir", as_utf8(c.output_dir)},
                         {"init", as_utf8(c.init)},
                         {"model", model},
                         {"attention", attention},
                         {"data", toml::table{{"paths", to_array(all_as_utf8(c.data.paths))},
                                              {"include", to_array(all_as_utf8(c.data.include))},
                                              {"exclude", to_array(all_as_utf8(c.data.exclude))},
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
                                                  {"inner_kernel", lighthouse::name_of(c.training.inner_kernel)},
                                                  {"max_skipped_steps", c.training.max_skipped_steps}}},
                         {"checkpoint", toml::table{{"interval", c.checkpoint.interval}, {"keep", c.checkpoint.keep}}},
                         {"stages", stages}};
  return to_toml_document(root);
}

}  // namespace lighthouse::train
