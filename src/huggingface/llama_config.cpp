#include "huggingface/llama_config.h"

#include <optional>
#include <stdexcept>

#include "huggingface/json_keys.h"

namespace lighthouse::huggingface {
namespace {

constexpr const char* kLlama = "llama";
constexpr const char* kMistral = "mistral";
constexpr const char* kTheta = "rope_theta";

/// "llama" or "mistral". The architecture decides, where the file names one.
std::string read_architecture(const Json& object, const JsonKeys& keys) {
  const std::string type = keys.text("model_type", "");
  if (keys.has("architectures")) {
    const Json& names = object["architectures"];
    const bool llama = names == Json::array({"LlamaForCausalLM"});
    if (!llama && names != Json::array({"MistralForCausalLM"})) {
      keys.fail("architectures", "[\"LlamaForCausalLM\"] or [\"MistralForCausalLM\"]");
    }
    const std::string expected = llama ? kLlama : kMistral;
    if (type != expected) keys.fail("model_type", "\"" + expected + "\", as architectures says");
  } else if (type != kLlama && type != kMistral) {
    keys.fail("model_type", "\"llama\" or \"mistral\"");
  }
  return type;
}

void refuse_partial(const JsonKeys& keys) {
  constexpr const char* kPartial = "partial_rotary_factor";
  if (keys.has(kPartial) && keys.number(kPartial, 0) != 1) keys.fail(kPartial, "1");
}

/// What would make another computation of the same weights.
void refuse_others(const Json& object, const JsonKeys& keys, bool mistral) {
  for (const char* key : {"quantization_config", "compression_config"}) {
    if (keys.has(key)) keys.fail(key, "absent: quantised weights cannot be trained");
  }
  for (const char* bias : {"attention_bias", "mlp_bias"}) {
    if (mistral && !keys.has(bias)) continue;  // Mistral has no such key
    if (keys.boolean(bias, false)) keys.fail(bias, "false: the decoder has no biases");
  }
  const std::string activation = keys.text("hidden_act", "silu");
  if (activation != "silu" && activation != "swish") keys.fail("hidden_act", "\"silu\"");
  if (keys.has("sliding_window")) keys.fail("sliding_window", "null: attention is to the whole context");
  if (keys.has("layer_types")) {
    for (const Json& type : object["layer_types"]) {
      if (type != "full_attention") keys.fail("layer_types", "\"full_attention\" in every layer");
    }
  }
  refuse_partial(keys);
}

struct Rope {
  double theta = 0;
  std::optional<model::RopeScaling> scaling;
};

/// rope_parameters (transformers 5) or rope_scaling (4). `theta` is what counts where it has none.
Rope read_rope(const JsonKeys& rope, const JsonKeys& keys, double theta, int64_t max_position_embeddings) {
  for (const auto& [key, value] : rope.all().items()) {
    if (value.is_object()) rope.fail(key, "a number or a text: every layer has the same rotary embedding");
  }
  Rope found;
  found.theta = rope.number(kTheta, 1, theta);
  refuse_partial(rope);
  const std::string key = rope.is_absent("rope_type") ? "type" : "rope_type";
  const std::string type = rope.text(key, "default");
  if (type == "default") return found;
  if (type != "llama3") rope.fail(key, "\"default\" or \"llama3\"");
  model::RopeScaling scaling;
  scaling.factor = rope.number("factor", 1);
  scaling.low_freq_factor = rope.number("low_freq_factor", 0);
  scaling.high_freq_factor = rope.number("high_freq_factor", 0);
  // Beside the object it goes before what is within.
  constexpr const char* kOriginal = "original_max_position_embeddings";
  const int64_t within = rope.whole(kOriginal, 1, max_position_embeddings);
  scaling.original_max_position_embeddings = keys.whole(kOriginal, 1, within);
  if (scaling.high_freq_factor <= scaling.low_freq_factor) {
    rope.fail("high_freq_factor", "above low_freq_factor, " + io::json_text(Json(scaling.low_freq_factor)));
  }
  found.scaling = scaling;
  return found;
}

/// transformers takes rope_scaling where both objects are there, and the rope_theta beside it: where the two differ,
/// one of them is not meant.
void read_rotary(const JsonKeys& keys, LlamaConfig& config) {
  constexpr double kDefault = 10000;
  const double beside = keys.number(kTheta, 1, kDefault);
  std::optional<Rope> rope;
  for (const char* name : {"rope_parameters", "rope_scaling"}) {
    const auto object = keys.object(name);
    if (!object || object->all().empty()) continue;
    const Rope found = read_rope(*object, keys, beside, config.max_position_embeddings);
    if (rope && (rope->scaling != found.scaling || rope->theta != found.theta)) {
      keys.fail("rope_scaling", "the same as rope_parameters where both are there, with the same rope_theta");
    }
    rope = found;
  }
  config.model.rope_scaling = rope ? rope->scaling : std::nullopt;
  config.model.rope_theta = rope ? rope->theta : beside;
  if (!keys.is_absent(kTheta) && beside != config.model.rope_theta) {
    keys.fail(kTheta, "what rope_parameters says, " + io::json_text(Json(config.model.rope_theta)));
  }
}

Json rope_json(const model::RopeScaling& scaling) {
  return {{"rope_type", "llama3"},
          {"factor", scaling.factor},
          {"low_freq_factor", scaling.low_freq_factor},
          {"high_freq_factor", scaling.high_freq_factor},
          {"original_max_position_embeddings", scaling.original_max_position_embeddings}};
}

}  // namespace

LlamaConfig read_llama_config(const std::filesystem::path& path) {
  const Json object = read_object(path);
  const JsonKeys keys(object, path.string());
  const bool mistral = read_architecture(object, keys) == kMistral;
  if (mistral && !object.contains("sliding_window")) {
    keys.fail("sliding_window", "null (where Mistral's is absent it is 4096)");
  }
  refuse_others(object, keys, mistral);

  LlamaConfig config;
  model::ModelConfig& m = config.model;
  m.vocab_size = keys.whole("vocab_size", 256);
  m.hidden_size = keys.whole("hidden_size", 1);
  m.intermediate_size = keys.whole("intermediate_size", 1);
  m.num_hidden_layers = keys.whole("num_hidden_layers", 1);
  m.num_attention_heads = keys.whole("num_attention_heads", 1);
  constexpr const char* kKeyHeads = "num_key_value_heads";
  constexpr int64_t kMistralsHeads = 8;  // where the key is absent; null says as many as query heads
  m.num_key_value_heads = mistral && keys.is_absent(kKeyHeads)
                              ? kMistralsHeads
                              : keys.optional_whole(kKeyHeads, 1).value_or(m.num_attention_heads);
  if (m.num_attention_heads % m.num_key_value_heads != 0) {
    keys.fail(kKeyHeads, "a divisor of num_attention_heads, " + std::to_string(m.num_attention_heads));
  }
  m.head_dim = keys.optional_whole("head_dim", 2).value_or(m.hidden_size / m.num_attention_heads);
  if (m.head_dim < 2 || m.head_dim % 2 != 0) keys.fail("head_dim", "even");
  m.rms_norm_eps = keys.number("rms_norm_eps", 0, 1e-6);
  m.initializer_range = keys.number("initializer_range", 0, 0.02);
  m.tie_word_embeddings = keys.boolean("tie_word_embeddings", false);
  constexpr int64_t kLlamasContext = 2048;
  constexpr int64_t kMistralsContext = 131072;
  config.max_position_embeddings =
      keys.whole("max_position_embeddings", 1, mistral ? kMistralsContext : kLlamasContext);
  read_rotary(keys, config);
  config.special_tokens = read_special_tokens(keys, kLlamasTokens);
  return config;
}

std::string to_config_json(const LlamaConfig& config, const std::string& dtype) {
  const model::ModelConfig& m = config.model;
  if (m.hidden_size % m.num_attention_heads != 0) {
    throw std::runtime_error("transformers' Llama needs a hidden_size that is a multiple of num_attention_heads; got " +
                             std::to_string(m.hidden_size) + " and " + std::to_string(m.num_attention_heads));
  }
  Json parameters = m.rope_scaling ? rope_json(*m.rope_scaling) : Json{{"rope_type", "default"}};
  parameters["rope_theta"] = m.rope_theta;
  Json object = {{"architectures", {"LlamaForCausalLM"}},
                 {"model_type", kLlama},
                 {"vocab_size", m.vocab_size},
                 {"hidden_size", m.hidden_size},
                 {"intermediate_size", m.intermediate_size},
                 {"num_hidden_layers", m.num_hidden_layers},
                 {"num_attention_heads", m.num_attention_heads},
                 {"num_key_value_heads", m.num_key_value_heads},
                 {"head_dim", m.head_dim},
                 {"hidden_act", "silu"},
                 {"max_position_embeddings", config.max_position_embeddings},
                 {"initializer_range", m.initializer_range},
                 {"rms_norm_eps", m.rms_norm_eps},
                 {"use_cache", true}};
  write_special_tokens(config.special_tokens, object);
  object["tie_word_embeddings"] = m.tie_word_embeddings;
  object["attention_bias"] = false;
  object["attention_dropout"] = 0.0;
  object["mlp_bias"] = false;
  object["rope_theta"] = m.rope_theta;
  object["rope_scaling"] = m.rope_scaling ? rope_json(*m.rope_scaling) : Json(nullptr);
  object["rope_parameters"] = parameters;
  object["dtype"] = dtype;
  object["torch_dtype"] = dtype;
  return io::json_text(object, 2) + "\n";
}

}  // namespace lighthouse::huggingface
