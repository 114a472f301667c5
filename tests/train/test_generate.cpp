// Generation: the cache against whole prefixes, sampling, ends.
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <iterator>
#include <random>
#include <set>

#include "inference/generate.h"
#include "model/decoder.h"
#include "ops/fused.h"
#include "temporary_folder.h"

namespace lighthouse::test {
namespace {

using inference::GenerateOptions;
using inference::Session;
using model::Decoder;
using model::ModelConfig;

/// Odd sizes; a group of three query heads to a key head.
ModelConfig odd_config() {
  ModelConfig config;
  config.vocab_size = 307;
  config.hidden_size = 42;
  config.intermediate_size = 47;
  config.num_hidden_layers = 3;
  config.num_attention_heads = 6;
  config.num_key_value_heads = 2;
  config.head_dim = 10;
  config.rope_theta = 500;
  config.rope_scaling = model::RopeScaling{4, 1, 4, 16};
  config.rms_norm_eps = 1e-3;
  config.initializer_range = 0.2;
  return config;
}

Session session_of(const Decoder& decoder, int64_t capacity, torch::ScalarType type = torch::kFloat) {
  return Session(decoder->config(), model::named_parameters(*decoder), {torch::kCPU, type, capacity});
}

torch::Tensor random_tokens(int64_t length) { return torch::randint(0, 307, {length}, torch::kLong); }

TEST(RowProduct, IsTheProductByPlainSums) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  torch::manual_seed(seed);
  for (const int64_t columns : {1, 31, 32, 97, 1000}) {
    for (const int64_t rows : {1, 7, 1300}) {
      for (const auto type : {torch::kFloat, torch::kBFloat16}) {
        const auto x = torch::randn({1, columns}).to(type);
        const auto weight = torch::randn({rows, columns}).to(type);
        const auto expected = x.to(torch::kDouble).mm(weight.to(torch::kDouble).t());
        const double bound = 1e-6 * static_cast<double>(10 + columns) +
                             (type == torch::kFloat ? 0 : 0x1p-8 * expected.abs().max().item<double>());
        const auto got = ops::row_product(x, weight);
        EXPECT_EQ(got.scalar_type(), type);
        EXPECT_LT((got.to(torch::kDouble) - expected).abs().max().item<double>(), bound) << rows << " " << columns;
        const int threads = at::get_num_threads();
        at::set_num_threads(3);
        EXPECT_TRUE(torch::equal(got, ops::row_product(x, weight))) << "threads must not change the bits";
        at::set_num_threads(threads);
      }
    }
  }
  expect_error([] { ops::row_product(torch::ones({1, 3}), torch::ones({2, 4})); }, {"weight must be [rows, 3]"});
}

TEST(TokenAttention, IsTheSoftmaxOverAllKeys) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  torch::manual_seed(seed);
  for (const int64_t length : {1, 5, 511, 513, 3000}) {
    for (const int64_t dim : {2, 16, 34, 128}) {
      for (const int64_t kv_heads : {1, 3}) {
        for (const auto type : {torch::kFloat, torch::kBFloat16}) {
          const auto room = torch::randn({1, kv_heads, length + 9, dim}).to(type);  // keys stand in a longer cache
          const auto key = room.slice(2, 0, length);
          const auto value = torch::randn({1, kv_heads, length, dim}).to(type);
          const auto query = (3 * torch::randn({1, 2 * kv_heads, 1, dim})).to(type);
          const auto wide = [](const torch::Tensor& x) { return x.to(torch::kDouble); };
          const auto scores =
              wide(query).view({kv_heads, 2, dim}).matmul(wide(key)[0].transpose(1, 2)) / std::sqrt(double(dim));
          const auto expected = torch::softmax(scores, -1).matmul(wide(value)[0]).view({1, -1});
          const auto got = ops::token_attention(query, key, value);
          EXPECT_EQ(got.scalar_type(), type);
          const double bound = type == torch::kFloat ? 2e-5 : 0x1p-7 * expected.abs().max().item<double>();
          EXPECT_LT((wide(got) - expected).abs().max().item<double>(), bound) << length << " " << dim;
        }
      }
    }
  }
  // Scores far apart: what is negligible is zero, and nothing overflows.
  const auto key = torch::tensor({{300.0F, 0.0F}, {-300.0F, 0.0F}, {299.0F, 0.0F}}).view({1, 1, 3, 2});
  const auto value = torch::tensor({{1.0F, 0.0F}, {1e30F, 1e30F}, {0.0F, 1.0F}}).view({1, 1, 3, 2});
  const auto got = ops::token_attention(torch::tensor({1.41421356F, 0.0F}).view({1, 1, 1, 2}), key, value);
  EXPECT_TRUE(torch::allclose(got, torch::tensor({{0.73106F, 0.26894F}}), 1e-4, 1e-4)) << got;
}

TEST(Session, GivesTheLogitsOfTheWholePrefix) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  torch::manual_seed(seed);
  for (const bool tied : {false, true}) {
    ModelConfig config = odd_config();
    config.tie_word_embeddings = tied;
    Decoder decoder(config);
    const torch::NoGradGuard no_grad;
    const auto tokens = random_tokens(45);
    const auto whole = decoder(tokens.unsqueeze(0))[0];
    Session session = session_of(decoder, 45);
    for (const int64_t prompt : {1, 7, 44}) {
      session.clear();
      auto logits = session.append(tokens.slice(0, 0, prompt));
      for (int64_t n = prompt; n < 45; ++n) {
        EXPECT_TRUE(torch::allclose(logits, whole[n - 1], 1e-4, 1e-4)) << n;
        logits = session.append(tokens.slice(0, n, n + 1));
      }
      EXPECT_TRUE(torch::allclose(logits, whole[44], 1e-4, 1e-4));
    }
    expect_error([&] { session.append(tokens.slice(0, 0, 1)); }, {"expected 1 to 0 tokens", "got 1"});
  }
}

TEST(Session, LongPromptsAreFedForwardInPieces) {
  torch::manual_seed(11);
  ModelConfig config = odd_config();
  config.num_hidden_layers = 2;
  Decoder decoder(config);
  const torch::NoGradGuard no_grad;
  const auto tokens = random_tokens(9001);
  Session session = session_of(decoder, 9001);
  EXPECT_TRUE(torch::allclose(session.append(tokens), decoder(tokens.unsqueeze(0))[0][-1], 1e-4, 1e-4));
}

TEST(Session, ComputesInBfloat16) {
  torch::manual_seed(12);
  Decoder decoder(odd_config());
  const auto tokens = random_tokens(20);
  Session wide = session_of(decoder, 20);
  Session narrow = session_of(decoder, 20, torch::kBFloat16);
  wide.append(tokens.slice(0, 0, 19));
  narrow.append(tokens.slice(0, 0, 19));
  const auto expected = wide.append(tokens.slice(0, 19));
  const auto got = narrow.append(tokens.slice(0, 19));
  EXPECT_EQ(got.scalar_type(), torch::kFloat);
  EXPECT_LT((got - expected).abs().max().item<float>(), 0.1 * expected.abs().max().item<float>());
  EXPECT_FALSE(torch::equal(got, expected));
}

TEST(Session, RefusesWhatItHasNoRoomFor) {
  Decoder decoder(odd_config());
  expect_error([&] { session_of(decoder, 0); }, {"room for at least one token; got 0"});
  Session session = session_of(decoder, 8);
  expect_error([&] { session.append(random_tokens(9)); }, {"expected 1 to 8 tokens", "got 9"});
  session.append(random_tokens(4));
  expect_error([&] { session.append(random_tokens(2)); }, {"expected one token after the first ones; got 2"});
  auto weights = model::named_parameters(*decoder);
  weights.pop_back();
  expect_error([&] { Session(odd_config(), weights, {torch::kCPU, torch::kFloat, 8}); }, {"does not fit the model"});
}

TEST(Generate, IsReproducibleAndChecked) {
  torch::manual_seed(9);
  Decoder decoder(odd_config());
  Session session = session_of(decoder, 30);
  const auto generate = [&](const std::vector<int64_t>& prompt, const GenerateOptions& options,
                            const std::function<void(int64_t)>& on_token = {}) {
    session.clear();
    return inference::generate(session, prompt, options, on_token).tokens;
  };
  GenerateOptions options;
  options.max_new_tokens = 20;
  const std::vector<int64_t> prompt = {97, 306, 0};
  std::vector<int64_t> streamed;
  const auto tokens = generate(prompt, options, [&](int64_t token) { streamed.push_back(token); });
  EXPECT_EQ(tokens.size(), 20U);
  EXPECT_EQ(tokens, streamed);
  EXPECT_EQ(tokens, generate(prompt, options));
  options.sampling.seed = 1;
  EXPECT_NE(tokens, generate(prompt, options));
  options.num_choices = 5;
  for (const int64_t token : generate(prompt, options)) EXPECT_LT(token, 5);
  options.num_choices = 0;

  // Greedy is the likeliest token of the whole prefix, one step at a time.
  options.sampling.temperature = 0;
  options.max_new_tokens = 6;
  std::vector<int64_t> all = prompt;
  const torch::NoGradGuard no_grad;
  for (int i = 0; i < 6; ++i) all.push_back(decoder(torch::tensor(all).unsqueeze(0))[0][-1].argmax().item<int64_t>());
  const std::vector<int64_t> expected(all.begin() + 3, all.end());
  EXPECT_EQ(generate(prompt, options), expected);

  options.end = {expected[3], 999};
  session.clear();
  const auto first = static_cast<size_t>(std::find(expected.begin(), expected.end(), expected[3]) - expected.begin());
  const auto ended = inference::generate(session, prompt, options);
  EXPECT_TRUE(ended.ended);
  EXPECT_EQ(ended.tokens, (std::vector<int64_t>(expected.begin(), expected.begin() + static_cast<int64_t>(first))));

  expect_error([&] { generate({}, options); }, {"prompt of at least one token"});
  expect_error([&] { generate({1, 307}, options); }, {"tokens from 0 to 306", "token 1 is 307"});
  options.sampling.top_p = 0;
  expect_error([&] { generate(prompt, options); }, {"top_p must be above 0"});
}

TEST(Sampler, DrawsFromTheNucleus) {
  // 0.5, 0.3, 0.15, 0.05: half of the mass is one token, 0.8 two, and so on.
  const auto logits = torch::tensor({0.05, 0.5, 0.15, 0.3}, torch::kFloat).log();
  const auto counts = [&](double top_p, double temperature) {
    inference::Sampler sample({temperature, top_p, 7});
    std::vector<int> found(4, 0);
    for (int i = 0; i < 4000; ++i) ++found[static_cast<size_t>(sample(logits))];
    return found;
  };
  EXPECT_EQ(counts(0.4, 1)[1], 4000);
  const auto two = counts(0.7, 1);
  EXPECT_EQ(two[0] + two[2], 0);
  EXPECT_NEAR(two[1], 4000 * 0.5 / 0.8, 120);
  const auto all = counts(1, 1);
  EXPECT_NEAR(all[0], 4000 * 0.05, 60);
  EXPECT_NEAR(all[3], 4000 * 0.3, 120);
  EXPECT_GT(counts(1, 0.3)[1], all[1] + 1000);
}

TEST(Sampler, OfEquallyLikelyTokensThoseOfLowerNumbersAreInTheNucleus) {
  const auto tokens_of = [](const torch::Tensor& logits, double top_p, int draws = 200) {
    inference::Sampler sample({1, top_p, 11});
    std::set<int64_t> found;
    for (int i = 0; i < draws; ++i) found.insert(sample(logits));
    return found;
  };
  // A quarter each: the second one reaches a half.
  EXPECT_EQ(tokens_of(torch::zeros({4}), 0.25), (std::set<int64_t>{0}));
  EXPECT_EQ(tokens_of(torch::zeros({4}), 0.5), (std::set<int64_t>{0, 1}));
  EXPECT_EQ(tokens_of(torch::zeros({4}), 0.6), (std::set<int64_t>{0, 1, 2})) << "the token that crosses top_p is in";
  EXPECT_EQ(tokens_of(torch::zeros({4}), 1), (std::set<int64_t>{0, 1, 2, 3}));
  // More of them than are sorted at first.
  const auto of_many = tokens_of(torch::zeros({2048}), 0.25, 2000);
  EXPECT_EQ(*of_many.rbegin(), 511);
  EXPECT_GT(of_many.size(), 480U);
  auto one_and_many = torch::zeros({2048});
  one_and_many[2047] = std::log(64.0);
  const auto found = tokens_of(one_and_many, (64 + 9.5) / (64 + 2047), 1000);
  EXPECT_EQ(found.size(), 11U);
  EXPECT_EQ(*found.rbegin(), 2047);
  EXPECT_EQ(*std::next(found.rbegin()), 9);
}

TEST(Sampler, RefusesWhatIsOutOfRangeWithTheBounds) {
  const auto refused = [](double temperature, double top_p, const std::string& words) {
    expect_error([&] { inference::Sampler({temperature, top_p, 0}); }, {words});
  };
  for (const double temperature : {1e-60, 9e-7, -1.0, 1.1e6, double(INFINITY), double(NAN)})
    refused(temperature, 1, "temperature must be 0 (always the likeliest token) or from 1e-06 to 1000000; got ");
  for (const double top_p : {0.0, -0.5, 1.0000001, double(INFINITY), double(NAN)})
    refused(1, top_p, "top_p must be above 0, at most 1; got ");
  // At the bounds it draws: the likeliest token, or any.
  const auto logits = torch::tensor({1.0F, 3.0F, 2.0F});
  std::set<int64_t> found;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    EXPECT_EQ(inference::Sampler({inference::kLeastTemperature, 1, seed})(logits), 1);
    found.insert(inference::Sampler({inference::kMostTemperature, 1, seed})(logits));
  }
  EXPECT_EQ(found.size(), 3U);
}

TEST(Sampler, SortsAllOfALargeVocabularyWhereItMust) {
  // A flat distribution: what holds half of it is far more than is sorted at first.
  inference::Sampler sample({1, 0.5, 3});
  const auto logits = torch::arange(20000).mul(1e-6);
  int64_t low = 20000;
  for (int i = 0; i < 300; ++i) low = std::min(low, sample(logits));
  EXPECT_GE(low, 9800);
  EXPECT_LT(low, 10400);
  expect_error([] { inference::Sampler({0, 1, 0})(torch::full({3}, NAN)); }, {"not finite"});
  expect_error([] { inference::Sampler({1, 1, 0})(torch::full({3}, NAN)); }, {"not finite"});
}

}  // namespace
}  // namespace lighthouse::test
