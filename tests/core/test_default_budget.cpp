// The default top_k through the operators: the number that it comes to, and what is said where attention runs dense.
#include <torch/csrc/autograd/autograd.h>

#include "tensors.h"

namespace lighthouse::test {
namespace {

// Every stage, gradients included, has the same bits whether k and n are left out or named.
TEST(DefaultBudget, IsTheNumberThatItComesTo) {
  const Limits limits = {.max_tokens = 2500, .max_batch = 1, .max_key_heads = 2, .max_head_dim = 9, .shorter = true};
  for_each_case("DefaultBudget.number", 60, limits, [](const Case& given, Random& random) {
    Case c = given;
    c.options.top_k = {};
    c.options.num_tiles = {};
    if (c.geometry().is_dense()) return;
    Inputs inputs = random_inputs(random, c, at::kFloat);
    for (at::Tensor* x : {&inputs.query, &inputs.key, &inputs.value}) x->requires_grad_();
    AttentionOptions left_out;
    static_cast<SelectionOptions&>(left_out) = selection_options(c);
    AttentionOptions named = left_out;
    named.top_k = c.pyramid().top_k;
    AttentionOptions both = named;
    both.num_tiles = c.pyramid().num_tiles;

    const Tree tree = select(inputs.query, inputs.key, left_out);
    ASSERT_EQ(tree.geometry.top_k(), named.top_k);
    ASSERT_EQ(tree.geometry.num_tiles(), both.num_tiles);
    ASSERT_EQ(tree.entries().size(2), tree.geometry.retained_length());
    const at::Tensor output = attention(inputs.query, inputs.key, inputs.value, left_out);
    const at::Tensor y = random_tensor(random, output.sizes(), at::kFloat);
    const auto grads = torch::autograd::grad({output}, {inputs.query, inputs.key, inputs.value}, {y});
    for (const auto& options : {named, both}) {
      ASSERT_TRUE(bit_equal(select(inputs.query, inputs.key, options).nodes, tree.nodes));
      const at::Tensor same = attention(inputs.query, inputs.key, inputs.value, options);
      ASSERT_TRUE(bit_equal(same, output));
      const auto same_grads = torch::autograd::grad({same}, {inputs.query, inputs.key, inputs.value}, {y});
      for (size_t i = 0; i < 3; ++i) ASSERT_TRUE(bit_equal(same_grads[i], grads[i]));
    }
  });
}

class Warnings : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override { texts.push_back(warning.msg()); }
  std::vector<std::string> texts;
};

std::vector<std::string> warnings_of_attention(int64_t num_tokens, const AttentionOptions& options) {
  Warnings warnings;
  const c10::WarningUtils::WarningHandlerGuard guard(&warnings);
  const at::Tensor x = at::zeros({1, 1, num_tokens, 4});
  attention(x, x, x, options);
  return warnings.texts;
}

TEST(DefaultBudget, ASequenceThatRunsDenseIsNamedOnce) {
  AttentionOptions options;
  options.pooling_factor = 11;  // of no other test
  options.top_k = 246;
  const auto first = warnings_of_attention(300, options);
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0], "lighthouse::attention: " + std::to_string(retained_length(300, options)) +
                          " of 300 tokens would be retained (num_levels=3, pooling_factor=11, top_k=246), so dense "
                          "attention runs instead. A longer sequence or a smaller top_k would gain.");
  EXPECT_EQ(warnings_of_attention(300, options).size(), 0U);
  EXPECT_EQ(warnings_of_attention(301, options).size(), 1U) << "another length";
  options.top_k = 248;
  EXPECT_EQ(warnings_of_attention(300, options).size(), 1U) << "another budget";
  options.top_k = {};
  const auto by_default = warnings_of_attention(120, options);  // shorter than a window of 121
  ASSERT_EQ(by_default.size(), 1U);
  EXPECT_NE(by_default[0].find("top_k=2)"), std::string::npos) << by_default[0];
  EXPECT_EQ(warnings_of_attention(0, options).size(), 0U) << "nothing to attend to";
  options.num_levels = 1;
  EXPECT_EQ(warnings_of_attention(300, options).size(), 0U) << "dense attention was asked for";
}

TEST(DefaultBudget, EverNewLengthsAreNotNamedForEver) {
  AttentionOptions options;
  options.pooling_factor = 13;
  std::vector<std::string> all;
  for (int64_t n = 2; n < 60; ++n) {
    for (auto& text : warnings_of_attention(n, options)) all.push_back(text);
  }
  ASSERT_EQ(all.size(), 8U);
  EXPECT_NE(all.back().find("not reported any more"), std::string::npos) << all.back();
}

TEST(DefaultBudget, AFirstCallAtAnyUsualLengthIsNotDense) {
  for (const int64_t n : {16, 64, 100, 1000, 2048, 4096, 8191, 8192, 12289}) {
    int64_t rows = 0;
    AttentionOptions options;
    options.inner = [&](const at::Tensor& q, const at::Tensor&, const at::Tensor&, double) {
      rows = q.size(2);
      return q;
    };
    const at::Tensor x = at::zeros({1, 1, n, 2});
    attention(x, x, x, options);
    EXPECT_EQ(rows, retained_length(n, {}));
    EXPECT_LT(rows, n);
  }
}

}  // namespace
}  // namespace lighthouse::test
