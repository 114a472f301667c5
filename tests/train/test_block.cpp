// A training pass written out by hand against autograd over plain operators: loss and every gradient, whatever is
// computed again, dense and Lighthouse; and the loss in chunks against whole logits.
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "lighthouse/attention.h"
#include "lighthouse/rotary.h"
#include "model/decoder.h"
#include "model/token_loss.h"
#include "temporary_folder.h"
#include "train/memory_estimate.h"
#include "train/trainer.h"

#include "tiny_run.h"

namespace lighthouse::test {
namespace {

using model::AttentionKind;
using model::Decoder;
using model::Recompute;
using torch::Tensor;

struct Shape {
  int64_t batch, tokens, heads, kv_heads, head_dim, hidden, intermediate, vocab;
  bool tied;
};

model::ModelConfig config_of(const Shape& shape) {
  model::ModelConfig config;
  config.vocab_size = shape.vocab;
  config.hidden_size = shape.hidden;
  config.intermediate_size = shape.intermediate;
  config.num_hidden_layers = 3;
  config.num_attention_heads = shape.heads;
  config.num_key_value_heads = shape.kv_heads;
  config.head_dim = shape.head_dim;
  config.tie_word_embeddings = shape.tied;
  config.initializer_range = 0.2;
  config.rms_norm_eps = 1e-3;
  config.rope_theta = 500;
  config.full_attention_layers = {1};
  return config;
}

Tensor plain_norm(const Tensor& x, const Tensor& gain, double epsilon) {
  return x * torch::rsqrt(x.square().mean(-1, true) + epsilon) * gain;
}

/// The decoder's loss by its definition, from its parameters by their names.
Tensor plain_loss(const Decoder& decoder, const Tensor& tokens, const Tensor& targets,
                  const AttentionOptions* options) {
  const auto& config = decoder->config();
  const auto parameters = decoder->named_parameters();
  const auto get = [&](const std::string& name) { return parameters[name]; };
  const auto table = model::rotary_table(model::inverse_frequencies(config), 0, tokens.size(1));
  Tensor x = torch::embedding(get("model.embed_tokens.weight"), tokens);
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    const std::string at = "model.layers." + std::to_string(layer) + ".";
    const auto linear = [&](const Tensor& in, const std::string& name) {
      return torch::linear(in, get(at + name + ".weight"));
    };
    const auto heads = [&](const Tensor& in, const std::string& name, int64_t count) {
      return linear(in, "self_attn." + name).view({x.size(0), x.size(1), count, config.head_dim}).transpose(1, 2);
    };
    const Tensor normal = plain_norm(x, get(at + "input_layernorm.weight"), config.rms_norm_eps);
    const auto [query, key] = rotary(heads(normal, "q_proj", config.num_attention_heads),
                                     heads(normal, "k_proj", config.num_key_value_heads), table.cos, table.sin);
    const Tensor value = heads(normal, "v_proj", config.num_key_value_heads);
    const bool dense = options == nullptr || layer == 1;
    const Tensor attended = dense ? dense_attention(query, key, value) : attention(query, key, value, *options);
    x = x + linear(attended.transpose(1, 2).flatten(2), "self_attn.o_proj");
    const Tensor post = plain_norm(x, get(at + "post_attention_layernorm.weight"), config.rms_norm_eps);
    x = x + linear(torch::silu(linear(post, "mlp.gate_proj")) * linear(post, "mlp.up_proj"), "mlp.down_proj");
  }
  const Tensor normal = plain_norm(x, get("model.norm.weight"), config.rms_norm_eps);
  const Tensor logits =
      torch::linear(normal, get(config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight"));
  return torch::cross_entropy_loss(logits.flatten(0, 1), targets.flatten());
}

std::vector<Tensor> gradients(const Decoder& decoder, const Tensor& loss) {
  for (auto& parameter : decoder->parameters()) parameter.mutable_grad() = Tensor();
  loss.backward();
  std::vector<Tensor> found;
  for (const auto& parameter : decoder->parameters()) found.push_back(parameter.grad().clone());
  return found;
}

TEST(Block, GradientsAreAutogradsOverPlainOperators) {
  torch::manual_seed(11);
  const std::vector<Shape> shapes = {{1, 64, 2, 2, 8, 16, 24, 300, false},
                                     {2, 77, 4, 2, 6, 20, 33, 257, true},
                                     {3, 40, 3, 1, 4, 10, 7, 256, false},
                                     {1, 5, 2, 1, 2, 4, 6, 256, true}};
  AttentionOptions options;
  options.num_levels = 3;
  options.pooling_factor = 2;
  options.top_k = 4;
  for (const Shape& shape : shapes) {
    Decoder decoder(config_of(shape));
    decoder->to(torch::kDouble);
    const Tensor tokens = torch::randint(0, shape.vocab, {shape.batch, shape.tokens}, torch::kLong);
    const Tensor targets = torch::randint(0, shape.vocab, {shape.batch, shape.tokens}, torch::kLong);
    for (const bool lighthouse : {false, true}) {
      decoder->set_attention(lighthouse ? AttentionKind::kLighthouse : AttentionKind::kDense, options);
      const Tensor expected = plain_loss(decoder, tokens, targets, lighthouse ? &options : nullptr);
      const auto expected_gradients = gradients(decoder, expected);
      std::vector<Tensor> of_none;
      for (const Recompute recompute : {Recompute::kNone, Recompute::kSelective, Recompute::kFull}) {
        decoder->set_recompute(recompute);
        const Tensor loss = decoder->loss(tokens, targets);
        EXPECT_NEAR(loss.item<double>(), expected.item<double>(), 1e-10);
        const auto found = gradients(decoder, loss);
        for (size_t i = 0; i < found.size(); ++i) {
          EXPECT_TRUE(torch::allclose(found[i], expected_gradients[i], 1e-8, 1e-10))
              << decoder->named_parameters().keys()[i] << " " << shape.tokens << " " << lighthouse;
        }
        if (recompute == Recompute::kNone) of_none = found;
        for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(torch::equal(found[i], of_none[i]));
      }
      const torch::NoGradGuard no_grad;
      EXPECT_TRUE(torch::equal(decoder->loss(tokens, targets), decoder->loss(tokens, targets)));
      EXPECT_NEAR(decoder->losses(tokens, targets).mean().item<double>(), expected.item<double>(), 1e-5);
    }
  }
}

TEST(Block, ComputesInBFloat16FromFloat32Weights) {
  torch::manual_seed(12);
  Decoder decoder(config_of({2, 64, 4, 2, 8, 32, 48, 256, false}));
  AttentionOptions options;
  options.num_levels = 2;
  options.pooling_factor = 2;
  options.top_k = 8;
  decoder->set_attention(AttentionKind::kLighthouse, options);
  const Tensor tokens = torch::randint(0, 256, {2, 64}, torch::kLong);
  const Tensor targets = torch::randint(0, 256, {2, 64}, torch::kLong);
  const Tensor exact = decoder->loss(tokens, targets);
  const auto exact_gradients = gradients(decoder, exact);
  decoder->set_compute_type(torch::kBFloat16);
  EXPECT_EQ(decoder->hidden(tokens).scalar_type(), torch::kBFloat16);
  const Tensor rounded = decoder->loss(tokens, targets);
  EXPECT_EQ(rounded.scalar_type(), torch::kFloat);
  EXPECT_NEAR(rounded.item<double>(), exact.item<double>(), 0.05 * exact.item<double>());
  const auto found = gradients(decoder, rounded);
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].scalar_type(), torch::kFloat);
    EXPECT_EQ(found[i].sizes(), exact_gradients[i].sizes());
    EXPECT_TRUE(found[i].isfinite().all().item<bool>());
  }
}

TEST(Block, BackwardRunsOnce) {
  Decoder decoder(config_of({1, 16, 2, 1, 4, 8, 12, 256, false}));
  const Tensor tokens = torch::zeros({1, 16}, torch::kLong);
  const Tensor loss = decoder->loss(tokens, tokens);
  loss.backward({}, /*retain_graph=*/true);
  expect_error([&] { loss.backward(); }, {"backward pass ran twice"});
}

TEST(TokenLoss, ChunksAreTheWholeLogits) {
  torch::manual_seed(13);
  for (const int64_t vocab : {256, 20000, 70000}) {  // one chunk, chunks by bytes, chunks of the fewest rows
    const int64_t rows = model::token_loss_rows(vocab) < 2000 ? model::token_loss_rows(vocab) + 37 : 300;
    const Tensor hidden = torch::randn({rows, 4}, torch::kDouble).requires_grad_();
    const Tensor weight = torch::randn({vocab, 4}, torch::kDouble).requires_grad_();
    const Tensor targets = torch::randint(0, vocab, {rows}, torch::kLong);
    const Tensor expected = torch::cross_entropy_loss(torch::linear(hidden, weight), targets);
    const auto wanted = torch::autograd::grad({expected * 3}, {hidden, weight});
    const Tensor found = model::token_loss(hidden, weight, targets);
    const auto got = torch::autograd::grad({found * 3}, {hidden, weight});
    EXPECT_NEAR(found.item<double>(), expected.item<double>(), 1e-10);
    EXPECT_TRUE(torch::allclose(got[0], wanted[0], 1e-8, 1e-12)) << vocab;
    EXPECT_TRUE(torch::allclose(got[1], wanted[1], 1e-8, 1e-12)) << vocab;
  }
}

/// 1/3 is not a number of bfloat16, and all of hidden's gradient would be off by 0.2%.
TEST(TokenLoss, PartsAreNotRounded) {
  torch::manual_seed(14);
  const Tensor hidden = torch::randn({2000, 32}).to(torch::kBFloat16).requires_grad_();
  const Tensor weight = (torch::randn({64, 32}) / 4).requires_grad_();
  const Tensor targets = torch::randint(0, 64, {2000}, torch::kLong);
  const auto gradients = [&](int64_t parts) {
    return torch::autograd::grad({model::token_loss(hidden, weight, targets, parts)}, {hidden, weight});
  };
  const auto whole = gradients(1);
  for (const int64_t parts : {3, 6, 7}) {
    const auto part = gradients(parts);
    for (const size_t i : {0, 1}) {
      const Tensor one = whole[i].to(torch::kDouble);
      const double share = ((part[i].to(torch::kDouble) * one).sum() / (one * one).sum()).item<double>();
      EXPECT_NEAR(share * static_cast<double>(parts), 1, 5e-4) << parts << " parts, gradient " << i;
    }
  }
}

TEST(Memory, PoliciesKeepLess) {
  const TemporaryFolder folder;
  const auto config = tiny_run(folder);
  const auto total = [&](Recompute recompute) { return train::estimate_memory(config, 2, recompute).total(); };
  EXPECT_GT(total(Recompute::kNone), total(Recompute::kSelective));
  EXPECT_GT(total(Recompute::kSelective), total(Recompute::kFull));
  expect_error([&] { train::expect_fits_memory(config, 2, Recompute::kNone, 1000); },
               {"needs about", "1.00 kB", "training.recompute"});
  // 1.05 GB for the output projection's gradient alone, and half of it for the projection in bfloat16.
  auto wide = config;
  wide.model.vocab_size = 128 << 10;
  wide.model.hidden_size = 2048;
  EXPECT_GT(train::estimate_memory(wide, 2, Recompute::kFull).working, 1.5e9);
}

TEST(Memory, ReadingNeedsTheWeightsAndLinearly) {
  const TemporaryFolder folder;
  const auto config = tiny_run(folder);
  const auto bytes = [&](int64_t tokens) { return train::estimate_reading(config.model, 4, tokens); };
  EXPECT_EQ(4 * bytes(0), train::estimate_memory(config, 4, Recompute::kFull).parameters);
  EXPECT_NEAR(bytes(4096) - bytes(0), 2 * (bytes(2048) - bytes(0)), 1);
}

TEST(Training, PoliciesGiveTheSameRun) {
  const TemporaryFolder folder;
  auto config = tiny_run(folder);
  const auto losses = [&](Recompute recompute) {
    config.training.recompute = recompute;
    std::vector<double> values;
    for (const auto& step : train::Trainer(config).run().steps) values.push_back(step.loss);
    return values;
  };
  const auto none = losses(Recompute::kNone);
  EXPECT_EQ(losses(Recompute::kSelective), none);
  EXPECT_EQ(losses(Recompute::kFull), none);
}

}  // namespace
}  // namespace lighthouse::test
