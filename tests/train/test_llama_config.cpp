// config.json of Hugging Face's Llama: what is written, what is read, and what an absent key means.
#include <nlohmann/json.hpp>

#include "huggingface/byte_tokenizer.h"
#include "huggingface/llama_config.h"
#include "huggingface/special_tokens.h"
#include "temporary_folder.h"

namespace lighthouse::test {
namespace {

using huggingface::LlamaConfig;
using nlohmann::json;

LlamaConfig read_config_json(const TemporaryFolder& folder, const json& object) {
  return huggingface::read_llama_config(folder.write("config.json", object.dump()));
}

/// The least that a config.json may say.
json least_config() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", 300},
          {"hidden_size", 64},
          {"intermediate_size", 100},
          {"num_hidden_layers", 3},
          {"num_attention_heads", 4}};
}

TEST(LlamaConfig, AbsentKeysAreTransformersDefaults) {
  const TemporaryFolder folder;
  const LlamaConfig config = read_config_json(folder, least_config());
  EXPECT_EQ(config.model.num_key_value_heads, 4);
  EXPECT_EQ(config.model.head_dim, 16);
  EXPECT_EQ(config.model.rms_norm_eps, 1e-6);
  EXPECT_EQ(config.model.rope_theta, 10000);
  EXPECT_FALSE(config.model.rope_scaling);
  EXPECT_FALSE(config.model.tie_word_embeddings);
  EXPECT_EQ(config.max_position_embeddings, 2048);
  EXPECT_EQ(config.special_tokens.begin, 1);
  EXPECT_EQ(config.special_tokens.end, (std::vector<int64_t>{2}));
  json mistral = least_config();
  mistral.update({{"architectures", {"MistralForCausalLM"}},
                  {"model_type", "mistral"},
                  {"sliding_window", nullptr},
                  {"num_attention_heads", 8}});
  EXPECT_EQ(read_config_json(folder, mistral).model.num_key_value_heads, 8);
  EXPECT_EQ(read_config_json(folder, mistral).max_position_embeddings, 131072);
}

TEST(LlamaConfig, IsReadAsItWasWritten) {
  const TemporaryFolder folder;
  LlamaConfig config;
  config.model.vocab_size = 301;
  config.model.hidden_size = 48;
  config.model.intermediate_size = 90;
  config.model.num_hidden_layers = 5;
  config.model.num_attention_heads = 6;
  config.model.num_key_value_heads = 2;
  config.model.head_dim = 10;
  config.model.rope_theta = 5e5;
  config.model.rope_scaling = model::RopeScaling{8, 1, 4, 512};
  config.model.rms_norm_eps = 1e-3;
  config.model.tie_word_embeddings = true;
  config.model.initializer_range = 0.5;
  config.max_position_embeddings = 777;
  config.special_tokens.begin = 1;
  config.special_tokens.end = {2, 3};
  const std::string text = huggingface::to_config_json(config, "bfloat16");
  const LlamaConfig again = read_config_json(folder, json::parse(text));
  EXPECT_EQ(huggingface::to_config_json(again, "bfloat16"), text);
  EXPECT_EQ(again.model.num_key_value_heads, 2);
  EXPECT_EQ(again.model.head_dim, 10);
  EXPECT_EQ(again.model.rope_theta, 5e5);
  EXPECT_EQ(again.model.rope_scaling, config.model.rope_scaling);
  EXPECT_EQ(again.model.rms_norm_eps, 1e-3);
  EXPECT_TRUE(again.model.tie_word_embeddings);
  EXPECT_EQ(again.max_position_embeddings, 777);
  EXPECT_EQ(again.special_tokens.end, (std::vector<int64_t>{2, 3}));
  // Both forms, of transformers 4 and of 5.
  const json object = json::parse(text);
  EXPECT_EQ(object["rope_theta"], 5e5);
  EXPECT_EQ(object["rope_parameters"]["rope_theta"], 5e5);
  EXPECT_EQ(object["rope_scaling"]["factor"], 8);
  EXPECT_EQ(object["rope_parameters"]["factor"], 8);
  EXPECT_EQ(object["torch_dtype"], "bfloat16");
  EXPECT_EQ(object["dtype"], "bfloat16");
}

TEST(LlamaConfig, GenerationsEndTokensComeFirst) {
  const TemporaryFolder folder;
  EXPECT_TRUE(huggingface::end_tokens(folder.path()).empty());
  EXPECT_TRUE(huggingface::end_tokens({}).empty());
  folder.write("config.json", R"({"eos_token_id": 5})");
  EXPECT_EQ(huggingface::end_tokens(folder.path()), (std::vector<int64_t>{5}));
  folder.write("generation_config.json", R"({"eos_token_id": [6, 7]})");
  EXPECT_EQ(huggingface::end_tokens(folder.path()), (std::vector<int64_t>{6, 7}));
  folder.write("generation_config.json", "{}");
  EXPECT_EQ(huggingface::end_tokens(folder.path()), (std::vector<int64_t>{5}));
}

TEST(ByteTokenizer, NamesBytesAsByteLevelDoes) {
  const TemporaryFolder folder;
  const std::string text = huggingface::byte_tokenizer_json();
  const json vocabulary = json::parse(text)["model"]["vocab"];
  ASSERT_EQ(vocabulary.size(), 256U);
  // Printed ones are themselves; the others follow U+00FF in their order: NUL is the first, the soft hyphen the last.
  EXPECT_EQ(vocabulary["!"], 0x21);
  EXPECT_EQ(vocabulary["~"], 0x7E);
  EXPECT_EQ(vocabulary["\u00e9"], 0xE9);
  EXPECT_EQ(vocabulary["\u0100"], 0);
  EXPECT_EQ(vocabulary["\u010a"], 0x0A);
  EXPECT_EQ(vocabulary["\u0120"], 0x20);
  EXPECT_EQ(vocabulary["\u0121"], 0x7F);
  EXPECT_EQ(vocabulary["\u0142"], 0xA0);
  EXPECT_EQ(vocabulary["\u0143"], 0xAD);
  EXPECT_TRUE(huggingface::is_byte_tokenizer(folder.write("tokenizer.json", text)));
}

}  // namespace
}  // namespace lighthouse::test
