// Parts of a model that are not trained: gradients of the rest are what they are with all of it, a forward pass runs
// once and keeps nothing where there is nothing to train; and attention of a caller's own inside a block.
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <string>
#include <vector>

#include "model/decoder.h"
#include "model/token_loss.h"
#include "temporary_folder.h"

namespace lighthouse::test {
namespace {

using model::AttentionKind;
using model::Decoder;
using model::Recompute;
using torch::Tensor;

Decoder frozen_test_decoder() {
  torch::manual_seed(41);
  model::ModelConfig config;
  config.vocab_size = 256;
  config.hidden_size = 16;
  config.intermediate_size = 20;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 2;
  config.num_key_value_heads = 1;
  config.head_dim = 8;
  config.initializer_range = 0.2;
  Decoder decoder(config);
  decoder->to(torch::kDouble);
  return decoder;
}

AttentionOptions frozen_test_options() {
  AttentionOptions options;
  options.num_levels = 2;
  options.pooling_factor = 2;
  options.top_k = 4;
  options.num_tiles = 1;
  return options;
}

using Trained = std::function<bool(const std::string&)>;

/// Gradients by name of what is trained; how often a layer's forward pass ran goes to `calls`.
std::vector<std::pair<std::string, Tensor>> gradients_of(Decoder decoder, const Trained& trained, int64_t* calls) {
  for (auto& item : decoder->named_parameters()) {
    item.value().requires_grad_(trained(item.key()));
    item.value().mutable_grad() = Tensor();
  }
  decoder->set_attention_observer([&](auto...) { ++*calls; });
  const Tensor tokens = torch::arange(80, torch::kLong).view({2, 40});
  const Tensor loss = decoder->loss(tokens, tokens + 1);
  EXPECT_TRUE(loss.requires_grad());
  if (loss.requires_grad()) loss.backward();
  std::vector<std::pair<std::string, Tensor>> found;
  for (const auto& item : decoder->named_parameters()) {
    EXPECT_EQ(item.value().grad().defined(), trained(item.key())) << item.key();
    found.emplace_back(item.key(), item.value().grad());
  }
  return found;
}

TEST(Frozen, TheRestsGradientsAreThoseOfTheWhole) {
  Decoder decoder = frozen_test_decoder();
  const auto has = [](const std::string& part) {
    return [part](const std::string& name) { return name.find(part) != std::string::npos; };
  };
  std::vector<std::pair<std::string, Trained>> choices = {
      // As with low-rank adapters: neither the embedding nor any norm.
      {"projections", has("_proj.weight")},
      {"attention", has("self_attn")},
      {"the second layer", has("layers.1")},
      {"all but norms", [](const std::string& name) { return name.find("norm") == std::string::npos; }},
      {"all but the embedding", [](const std::string& name) { return name.find("embed") == std::string::npos; }},
  };
  for (const auto& item : decoder->named_parameters()) {
    choices.emplace_back(item.key(), [key = item.key()](const std::string& name) { return name == key; });
  }
  for (const auto kind : {AttentionKind::kDense, AttentionKind::kLighthouse}) {
    decoder->set_attention(kind, frozen_test_options());
    for (const Recompute recompute : {Recompute::kNone, Recompute::kFull}) {
      decoder->set_recompute(recompute);
      int64_t calls = 0;
      const auto whole = gradients_of(
          decoder, [](const std::string&) { return true; }, &calls);
      EXPECT_EQ(calls, 2);
      for (const auto& [what, trained] : choices) {
        calls = 0;
        const auto part = gradients_of(decoder, trained, &calls);
        EXPECT_EQ(calls, 2) << what;
        for (size_t i = 0; i < whole.size(); ++i) {
          if (!part[i].second.defined()) continue;
          EXPECT_TRUE(torch::equal(part[i].second, whole[i].second)) << what << ": " << part[i].first;
        }
      }
    }
  }
}

TEST(Frozen, NothingIsKeptWhereNothingIsTrained) {
  Decoder decoder = frozen_test_decoder();
  auto options = frozen_test_options();
  int64_t calls = 0;
  options.inner = [&](const Tensor& query, const Tensor& key, const Tensor& value, double scale) {
    ++calls;
    EXPECT_FALSE(torch::GradMode::is_enabled() || query.requires_grad() || key.requires_grad() ||
                 value.requires_grad());
    return dense_attention(query, key, value, scale);
  };
  decoder->set_attention(AttentionKind::kLighthouse, options);
  const Tensor tokens = torch::arange(40, torch::kLong).view({1, 40});
  {
    const torch::NoGradGuard no_grad;
    EXPECT_EQ(decoder->loss(tokens, tokens).grad_fn(), nullptr);
  }
  {
    const c10::InferenceMode inference;
    EXPECT_FALSE(decoder->hidden(tokens).requires_grad());
  }
  for (auto& parameter : decoder->parameters()) parameter.requires_grad_(false);
  EXPECT_EQ(decoder->loss(tokens, tokens).grad_fn(), nullptr);
  EXPECT_EQ(calls, 6);
}

TEST(Frozen, TheLossKeepsWhatIsTrained) {
  torch::manual_seed(42);
  const Tensor targets = torch::randint(0, 300, {50}, torch::kLong);
  const Tensor hidden = torch::randn({50, 6}, torch::kDouble);
  const Tensor weight = torch::randn({300, 6}, torch::kDouble);
  const auto gradients = [&](bool of_hidden, bool of_weight) {
    const Tensor h = hidden.clone().requires_grad_(of_hidden);
    const Tensor w = weight.clone().requires_grad_(of_weight);
    model::token_loss(h, w, targets).backward();
    return std::vector<Tensor>{h.grad(), w.grad()};
  };
  const auto both = gradients(true, true);
  EXPECT_TRUE(torch::equal(gradients(true, false)[0], both[0]));
  EXPECT_TRUE(torch::equal(gradients(false, true)[1], both[1]));
  EXPECT_EQ(model::token_loss(hidden, weight, targets).grad_fn(), nullptr);
}

/// Gradients of a model whose layers attend by `inner`.
std::vector<Tensor> gradients_with(const InnerAttention& inner) {
  Decoder decoder = frozen_test_decoder();
  auto options = frozen_test_options();
  options.inner = inner;
  decoder->set_attention(AttentionKind::kLighthouse, options);
  const Tensor tokens = torch::arange(80, torch::kLong).view({2, 40});
  decoder->loss(tokens, tokens + 1).backward();
  std::vector<Tensor> found;
  for (const auto& parameter : decoder->parameters()) found.push_back(parameter.grad());
  return found;
}

TEST(Frozen, AttentionOfACallersMayReturnAnyStrides) {
  using Change = std::function<Tensor(const Tensor&)>;
  const Change rows_last = [](const Tensor& x) { return x.transpose(2, 3).contiguous().transpose(2, 3); };
  const Change one_row = [](const Tensor& x) { return x.slice(2, 0, 1).expand_as(x); };
  const Change heads_last = [](const Tensor& x) { return x.transpose(1, 2).contiguous().transpose(1, 2); };
  for (const auto& change : {rows_last, one_row, heads_last}) {
    const auto given = gradients_with([&](const Tensor& q, const Tensor& k, const Tensor& v, double scale) {
      return change(dense_attention(rows_last(q), k, v, scale));
    });
    const auto plain = gradients_with([&](const Tensor& q, const Tensor& k, const Tensor& v, double scale) {
      return change(dense_attention(q, k, v, scale)).contiguous();
    });
    for (size_t i = 0; i < given.size(); ++i) EXPECT_TRUE(torch::allclose(given[i], plain[i], 1e-9, 1e-12));
  }
}

TEST(Frozen, AttentionOfACallersNeedNotUseAll) {
  const auto found = gradients_with([](const Tensor& q, const Tensor&, const Tensor&, double) { return 2 * q; });
  const auto names = frozen_test_decoder()->named_parameters().keys();
  for (size_t i = 0; i < found.size(); ++i) {
    const bool unused = names[i].find("k_proj") != std::string::npos || names[i].find("v_proj") != std::string::npos;
    EXPECT_EQ(found[i].abs().max().item<double>() == 0, unused) << names[i];
  }
}

TEST(Frozen, AttentionOfACallersIsHeldToItsQuery) {
  const auto expect = [](const std::function<Tensor(const Tensor&)>& change, const std::string& words) {
    expect_error(
        [&] { gradients_with([&](const Tensor& q, const Tensor&, const Tensor&, double) { return change(q); }); },
        {"lighthouse::attention: the inner attention must return", words});
  };
  expect([](const Tensor& q) { return q.slice(2, 1); }, "its query's shape");
  expect([](const Tensor& q) { return q.to(torch::kFloat); }, "its query's dtype, Double; got Float");
  expect([](const Tensor& q) { return torch::empty_like(q, torch::device(torch::kMeta)); },
         "its query's device, cpu; got meta");
  expect([](const Tensor&) { return Tensor(); }, "a tensor; got none");
  expect([](const Tensor& q) { return q.detach(); }, "got a tensor without a graph");
}

}  // namespace
}  // namespace lighthouse::test
