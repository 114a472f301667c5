// The decoder: its arithmetic against plain formulas, causality, switching attention, caches.
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <map>
#include <numbers>

#include "lighthouse/rotary.h"
#include "model/decoder.h"
#include "model/parameter_list.h"
#include "model/safetensors.h"
#include "temporary_folder.h"

namespace lighthouse::test {
namespace {

using model::AttentionKind;
using model::Decoder;
using model::ModelConfig;

ModelConfig small_config() {
  ModelConfig config;
  config.hidden_size = 32;
  config.intermediate_size = 48;
  config.num_hidden_layers = 3;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  return config;
}

AttentionOptions small_options() {
  AttentionOptions options;
  options.num_levels = 3;
  options.pooling_factor = 2;
  options.top_k = 8;
  return options;
}

torch::Tensor random_tokens(int64_t batch, int64_t length) {
  return torch::randint(0, 256, {batch, length}, torch::kLong);
}

TEST(Rotary, IsTheTextbookRotation) {
  ModelConfig config = small_config();
  config.rope_theta = 500.0;
  const auto frequencies = model::inverse_frequencies(config);
  const auto table = model::rotary_table(frequencies, 3, 5);
  const auto x = torch::randn({1, 5, 2, 8});
  const auto heads = x.transpose(1, 2);
  const auto [rotated, same] = rotary(heads, heads, table.cos, table.sin);
  EXPECT_TRUE(torch::equal(rotated, same));
  const auto y = rotated.transpose(1, 2);
  for (int64_t n = 0; n < 5; ++n) {
    for (int64_t d = 0; d < 4; ++d) {
      const double angle =
          static_cast<double>(n + 3) * std::pow(config.rope_theta, -2.0 * static_cast<double>(d) / 8.0);
      const double a = x[0][n][1][d].item<double>();
      const double b = x[0][n][1][d + 4].item<double>();
      EXPECT_NEAR(y[0][n][1][d].item<double>(), a * std::cos(angle) - b * std::sin(angle), 1e-5);
      EXPECT_NEAR(y[0][n][1][d + 4].item<double>(), b * std::cos(angle) + a * std::sin(angle), 1e-5);
    }
  }
}

TEST(Rotary, Llama3ScalingSlowsLowFrequencies) {
  ModelConfig config = small_config();
  config.head_dim = 64;
  const auto plain = model::inverse_frequencies(config);
  config.rope_scaling = model::RopeScaling{8.0, 1.0, 4.0, 512};
  const auto scaled = model::inverse_frequencies(config);
  for (int64_t i = 0; i < 32; ++i) {
    const double f = plain[i].item<double>();
    const double wavelength = 2 * std::numbers::pi / f;
    double expected = f;
    if (wavelength > 512.0 / 1.0) {
      expected = f / 8;
    } else if (wavelength >= 512.0 / 4.0) {
      const double blend = (512.0 / wavelength - 1.0) / (4.0 - 1.0);
      expected = (1 - blend) * f / 8 + blend * f;
    }
    EXPECT_NEAR(scaled[i].item<double>(), expected, 1e-6 * expected) << i;
  }
}

TEST(RmsNorm, DividesByTheRootMeanSquare) {
  model::RmsNorm norm(8, 1e-5);
  const auto x = torch::randn({2, 8});
  const auto expected = x / (x.square().mean(-1, true) + 1e-5).sqrt();
  EXPECT_TRUE(torch::allclose(norm(x), expected, 1e-5, 1e-6));
}

TEST(Decoder, ParametersHaveHuggingFacesNames) {
  ModelConfig config = small_config();
  const Decoder decoder(config);
  const auto names = decoder->named_parameters();
  for (const char* name : {"model.embed_tokens.weight", "model.layers.2.self_attn.q_proj.weight",
                           "model.layers.0.self_attn.o_proj.weight", "model.layers.1.mlp.gate_proj.weight",
                           "model.layers.1.mlp.down_proj.weight", "model.layers.0.input_layernorm.weight",
                           "model.layers.0.post_attention_layernorm.weight", "model.norm.weight", "lm_head.weight"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  EXPECT_EQ(names.size(), 3U * 9 + 3);
  config.tie_word_embeddings = true;
  EXPECT_FALSE(Decoder(config)->named_parameters().contains("lm_head.weight"));
}

TEST(Decoder, FreshWeightsAreDrawnAndGainsAreOne) {
  torch::manual_seed(2);
  ModelConfig config = small_config();
  config.initializer_range = 0.25;
  for (const auto& item : Decoder(config)->named_parameters()) {
    const auto values = item.value().detach();
    if (values.dim() == 1) {
      EXPECT_TRUE(torch::equal(values, torch::ones_like(values))) << item.key();
    } else {
      EXPECT_NEAR(values.mean().item<double>(), 0, 0.05) << item.key();
      EXPECT_NEAR(values.std().item<double>(), 0.25, 0.05) << item.key();
    }
  }
}

TEST(Decoder, DenseLogitsLookBackOnly) {
  torch::manual_seed(3);
  Decoder decoder(small_config());
  const torch::NoGradGuard no_grad;
  auto tokens = random_tokens(2, 40);
  const auto before = decoder(tokens).clone();
  tokens.slice(1, 25).fill_(7);
  const auto after = decoder(tokens);
  EXPECT_TRUE(torch::allclose(before.slice(1, 0, 25), after.slice(1, 0, 25), 1e-5, 1e-6));
  EXPECT_FALSE(torch::allclose(before.slice(1, 25), after.slice(1, 25), 1e-3, 1e-3));
}

TEST(Decoder, SwitchingAttentionTouchesNoWeight) {
  torch::manual_seed(4);
  Decoder decoder(small_config());
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> weights;
  for (const auto& parameter : decoder->parameters()) weights.push_back(parameter.clone());
  const auto tokens = random_tokens(1, 128);
  const auto dense = decoder(tokens);
  decoder->set_attention(AttentionKind::kLighthouse, small_options());
  const auto lighthouse = decoder(tokens);
  EXPECT_FALSE(torch::equal(dense, lighthouse));
  decoder->set_attention(AttentionKind::kDense);
  EXPECT_TRUE(torch::equal(dense, decoder(tokens)));
  const auto parameters = decoder->parameters();
  for (size_t i = 0; i < weights.size(); ++i) EXPECT_TRUE(torch::equal(weights[i], parameters[i]));
}

TEST(Decoder, NamedLayersStayDense) {
  ModelConfig config = small_config();
  config.full_attention_layers = {0, 1, 2};
  torch::manual_seed(5);
  Decoder all(config);
  config.full_attention_layers = {0, 2};
  torch::manual_seed(5);
  Decoder some(config);
  const torch::NoGradGuard no_grad;
  const auto tokens = random_tokens(1, 128);
  const auto dense = all(tokens);
  all->set_attention(AttentionKind::kLighthouse, small_options());
  some->set_attention(AttentionKind::kLighthouse, small_options());
  EXPECT_TRUE(torch::equal(dense, all(tokens)));
  EXPECT_FALSE(torch::equal(dense, some(tokens)));
}

TEST(Decoder, OneLevelOrShortSequencesAreDense) {
  torch::manual_seed(6);
  Decoder decoder(small_config());
  const torch::NoGradGuard no_grad;
  const auto tokens = random_tokens(2, 50);
  const auto dense = decoder(tokens);
  AttentionOptions one_level = small_options();
  one_level.num_levels = 1;
  AttentionOptions wide = small_options();
  wide.top_k = 64;
  for (const auto& options : {one_level, wide}) {
    decoder->set_attention(AttentionKind::kLighthouse, options);
    EXPECT_TRUE(torch::equal(dense, decoder(tokens)));
  }
}

TEST(Decoder, ListsItsParametersWithoutBeingMade) {
  for (const bool tied : {false, true}) {
    ModelConfig config = small_config();
    config.tie_word_embeddings = tied;
    std::map<std::string, std::vector<int64_t>> listed;
    for (const auto& [name, shape] : model::parameter_list(config)) listed[name] = shape;
    std::map<std::string, std::vector<int64_t>> made;
    for (const auto& [name, tensor] : model::named_parameters(*Decoder(config))) made[name] = tensor.sizes().vec();
    EXPECT_EQ(listed, made);
  }
}

TEST(Decoder, RefusesConfigurationsThatMakeNoModel) {
  const auto expect = [](auto change, const std::string& what) {
    ModelConfig config = small_config();
    change(config);
    expect_error([&] { Decoder decoder(config); }, {what});
  };
  expect([](auto& c) { c.num_key_value_heads = 3; }, "num_attention_heads must be a multiple");
  expect([](auto& c) { c.head_dim = 7; }, "head_dim must be even; got 7");
  expect([](auto& c) { c.full_attention_layers = {3}; }, "layers 0 to 2; got 3");
  expect([](auto& c) { c.vocab_size = 0; }, "must be positive");
}

TEST(Decoder, LoadsWhatItSaved) {
  const TemporaryFolder folder;
  torch::manual_seed(8);
  Decoder one(small_config());
  Decoder two(small_config());
  model::write_safetensors(folder.path() / "m", model::named_parameters(*one));
  model::load_parameters(*two, model::read_safetensors(folder.path() / "m").tensors, "m");
  const torch::NoGradGuard no_grad;
  const auto tokens = random_tokens(1, 30);
  EXPECT_TRUE(torch::equal(one(tokens), two(tokens)));
  ModelConfig wider = small_config();
  wider.intermediate_size = 64;
  wider.tie_word_embeddings = true;
  Decoder other(wider);
  expect_error([&] { model::load_parameters(*other, model::named_parameters(*one), "m"); },
               {"m does not fit the model", "model.layers.0.mlp.gate_proj.weight: expected [64, 32], got [48, 32]",
                "unexpected: lm_head.weight"});
}

}  // namespace
}  // namespace lighthouse::test
