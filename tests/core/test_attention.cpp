// The whole layer against the fp64 reference, and what must be true of it (docs/ALGORITHM.md 7).
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "tensors.h"

namespace lighthouse::test {
namespace {

using torch::autograd::grad;
using torch::autograd::variable_list;

AttentionOptions attention_options(const Case& c, const Scores& scores) {
  AttentionOptions result;
  static_cast<SelectionOptions&>(result) = selection_options(c);
  result.scores = scores;
  return result;
}

/// Softmax attention spelled out, differentiable, in the dtype of its inputs.
at::Tensor naive_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, double scale) {
  const int64_t group = query.size(1) / key.size(1);
  const at::Tensor logits = at::matmul(query, key.repeat_interleave(group, 1).mT()) * scale;
  const at::Tensor future = at::ones({query.size(2), query.size(2)}, at::kBool).triu(1);
  return at::matmul(at::softmax(logits.masked_fill(future, -INFINITY), -1), value.repeat_interleave(group, 1));
}

/// One row at a time: what row r gets cannot depend on a later row in any way, 0 * NaN included.
at::Tensor row_by_row(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, double scale) {
  const int64_t group = query.size(1) / key.size(1);
  const at::Tensor keys = key.repeat_interleave(group, 1);
  const at::Tensor values = value.repeat_interleave(group, 1);
  std::vector<at::Tensor> rows;
  for (int64_t row = 0; row < query.size(2); ++row) {
    const at::Tensor logits = at::matmul(query.narrow(2, row, 1), keys.narrow(2, 0, row + 1).mT()) * scale;
    rows.push_back(at::matmul(at::softmax(logits, -1), values.narrow(2, 0, row + 1)));
  }
  return at::cat(rows, 2);
}

/// The layer in float64 from explicit matrices, differentiable.
struct Exact {
  at::Tensor gather_query;
  at::Tensor gather_key;
  at::Tensor scatter;

  Exact(const Case& c, const std::vector<reference::Selection>& selections)
      : gather_query(to_tensor(reference::gather_matrices(c.pyramid(), selections), c, c.heads)),
        gather_key(to_tensor(reference::gather_matrices(c.pyramid(), selections), c, c.key_heads)),
        scatter(to_tensor(reference::scatter_matrices(c.pyramid(), selections), c, c.heads)) {}

  at::Tensor operator()(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, double scale) const {
    return at::matmul(scatter, naive_attention(at::matmul(gather_query, query), at::matmul(gather_key, key),
                                               at::matmul(gather_key, value), scale));
  }
};

double default_scale(const Case& c) { return 1 / std::sqrt(static_cast<double>(c.head_dim)); }

const at::Tensor& tolerance(double value) {
  static at::Tensor scalar;
  return scalar = at::scalar_tensor(value, at::kDouble);
}

// ---- Values ----

TEST(Attention, Float64EqualsTheReference) {
  const Limits limits = {.max_tokens = 250, .max_batch = 2, .max_head_dim = 17, .shorter = true, .empty_batch = false};
  for_each_case("Attention.reference", 150, limits, [](const Case& c, Random& random) {
    const Trees trees = random_trees(random, c);
    const Inputs inputs = random_inputs(random, c, at::kDouble);
    AttentionOptions options = attention_options(c, trees.scores);
    if (random.chance(0.3)) options.scale = random.real(0.01, 1);
    const double scale = options.scale.value_or(default_scale(c));
    const reference::Array expected = reference::attention(c.pyramid(), trees.selections, to_array(inputs.query),
                                                           to_array(inputs.key), to_array(inputs.value), scale);
    const at::Tensor output = attention(inputs.query, inputs.key, inputs.value, options);
    ASSERT_TRUE(within(output, to_tensor(expected), tolerance(1e-12 * static_cast<double>(c.options.num_levels))));
  });
}

// With the trees from the vectors themselves. Norms on the grid have one value.
TEST(Attention, SelectsByTheNormsOfItsInputs) {
  const Limits limits = {.max_tokens = 250, .max_batch = 2, .max_head_dim = 17, .shorter = true, .empty_batch = false};
  for_each_case("Attention.norms", 50, limits, [](const Case& c, Random& random) {
    const at::Tensor query = grid_tensor(random, {c.batch, c.heads, c.num_tokens, c.head_dim}, at::kDouble);
    const at::Tensor key = grid_tensor(random, {c.batch, c.key_heads, c.num_tokens, c.head_dim}, at::kDouble);
    const at::Tensor value = random_tensor(random, key.sizes(), at::kDouble);
    const at::Tensor query_norms =
        query.norm(2, {-1}).to(at::kFloat).view({c.batch, c.key_heads, c.heads / c.key_heads, c.num_tokens}).amax(2);
    const at::Tensor key_norms = key.norm(2, {-1}).to(at::kFloat);
    const Exact exact(c, reference_selections(c, query_norms, key_norms));
    AttentionOptions options;
    static_cast<SelectionOptions&>(options) = selection_options(c);
    ASSERT_TRUE(
        within(attention(query, key, value, options), exact(query, key, value, default_scale(c)), tolerance(1e-11)));
  });
}

TEST(Attention, Float64GradientsEqualTheReference) {
  const Limits limits = {.max_tokens = 200, .max_batch = 2, .max_head_dim = 17, .shorter = true, .empty_batch = false};
  for_each_case("Attention.gradients", 120, limits, [](const Case& c, Random& random) {
    const Trees trees = random_trees(random, c);
    Inputs inputs = random_inputs(random, c, at::kDouble);
    for (at::Tensor* x : {&inputs.query, &inputs.key, &inputs.value}) {
      *x = with_layout(*x, random.integer(0, kLayouts - 1)).requires_grad_();
    }
    const variable_list x = {inputs.query, inputs.key, inputs.value};
    const at::Tensor y = random_tensor(random, inputs.query.sizes(), at::kDouble);
    const at::Tensor expected = Exact(c, trees.selections)(inputs.query, inputs.key, inputs.value, default_scale(c));
    const at::Tensor actual = attention(inputs.query, inputs.key, inputs.value, attention_options(c, trees.scores));
    ASSERT_TRUE(within(actual, expected, tolerance(1e-11)));
    const variable_list expected_grads = grad({expected}, x, {y});
    const variable_list actual_grads = grad({actual}, x, {y});
    for (size_t i = 0; i < 3; ++i)
      ASSERT_TRUE(within(actual_grads[i], expected_grads[i], tolerance(1e-10))) << "input " << i;
  });
}

// In float32 and bfloat16 the error is at most twice (gradients: three times) that of torch's own attention on the
// gathered inputs rounded to the dtype, plus the rounding of the result itself.
TEST(Attention, LowPrecisionErrorIsThatOfTheInnerKernel) {
  const Limits limits = {.max_tokens = 200, .max_batch = 2, .max_group = 2, .shorter = true, .empty_batch = false};
  for_each_case("Attention.low precision", 60, limits, [](const Case& c, Random& random) {
    const at::ScalarType dtype = random.pick<at::ScalarType>({at::kFloat, at::kBFloat16});
    const Trees trees = random_trees(random, c);
    const Exact exact(c, trees.selections);
    const Inputs inputs = random_inputs(random, c, dtype);
    const at::Tensor y = random_tensor(random, inputs.query.sizes(), dtype);
    const double scale = default_scale(c);
    const int64_t group = c.heads / c.key_heads;

    const auto leaves = [&](at::ScalarType type) {
      variable_list x;
      for (const at::Tensor& input : {inputs.query, inputs.key, inputs.value})
        x.push_back(input.to(type).detach().requires_grad_());
      return x;
    };
    const auto with_grads = [&](const variable_list& x, const at::Tensor& output) {
      variable_list all = {output.detach()};
      for (const at::Tensor& gradient : grad({output}, x, {y.to(output.scalar_type())})) all.push_back(gradient);
      return all;
    };
    const variable_list wide = leaves(at::kDouble);
    const variable_list truth = with_grads(wide, exact(wide[0], wide[1], wide[2], scale));

    const variable_list torch_x = leaves(at::kDouble);
    const at::Tensor torch_rows = at::scaled_dot_product_attention(
        at::matmul(exact.gather_query, torch_x[0]).to(dtype),
        at::matmul(exact.gather_key, torch_x[1]).to(dtype).repeat_interleave(group, 1),
        at::matmul(exact.gather_key, torch_x[2]).to(dtype).repeat_interleave(group, 1), std::nullopt, 0, true, scale);
    const variable_list torchs = with_grads(torch_x, at::matmul(exact.scatter, torch_rows.to(at::kDouble)));

    const variable_list our_x = leaves(dtype);
    const variable_list ours =
        with_grads(our_x, attention(our_x[0], our_x[1], our_x[2], attention_options(c, trees.scores)));
    for (size_t i = 0; i < truth.size(); ++i) {
      ASSERT_EQ(ours[i].scalar_type(), dtype);
      const double torch_error = (torchs[i] - truth[i]).abs().max().item<double>();
      const double largest = truth[i].abs().max().item<double>();
      const double bound = (i == 0 ? 2 : 3) * torch_error + 2 * roundoff(dtype) * largest;
      ASSERT_TRUE(within(ours[i], truth[i], tolerance(bound))) << "output, then gradients: " << i;
    }
  });
}

// ---- Dense ----

TEST(Attention, DenseAttentionEqualsTheReference) {
  const Limits limits = {.max_tokens = 200, .max_batch = 2, .max_head_dim = 17};
  for_each_case("Attention.dense", 40, limits, [](const Case& c, Random& random) {
    const Inputs inputs = random_inputs(random, c, at::kDouble);
    const std::optional<double> scale = random.chance(0.5) ? std::optional<double>(random.real(0.01, 1)) : std::nullopt;
    const at::Tensor output = dense_attention(inputs.query, inputs.key, inputs.value, scale);
    const reference::Array expected = reference::dense_attention(
        to_array(inputs.query), to_array(inputs.key), to_array(inputs.value), scale.value_or(default_scale(c)));
    ASSERT_TRUE(within(output, to_tensor(expected), tolerance(1e-12)));
  });
}

// Sections 1 and 7: L = 1, and S >= N, are dense attention, in every dtype and to the bit.
TEST(Attention, IsDenseWhereNothingIsSaved) {
  int64_t one_level = 0;
  for_each_case("Attention.is dense", 120, {.max_tokens = 150, .max_batch = 2}, [&](const Case& given, Random& random) {
    Case c = given;
    if (random.chance(0.3)) c.options.num_levels = 1;
    if (!c.geometry().is_dense()) c.options.num_tiles = {}, c.options.top_k = 2 * c.num_tokens + 2;  // expands all
    ASSERT_TRUE(c.geometry().is_dense());
    one_level += c.options.num_levels == 1 ? 1 : 0;
    const at::ScalarType dtype = random.pick<at::ScalarType>({at::kFloat, at::kBFloat16, at::kDouble});
    Inputs inputs = random_inputs(random, c, dtype);
    for (at::Tensor* x : {&inputs.query, &inputs.key, &inputs.value}) x->requires_grad_();
    AttentionOptions options;
    static_cast<SelectionOptions&>(options) = selection_options(c);
    const at::Tensor output = attention(inputs.query, inputs.key, inputs.value, options);
    const at::Tensor dense = dense_attention(inputs.query, inputs.key, inputs.value);
    ASSERT_TRUE(bit_equal(output, dense));
    if (c.batch == 0 || c.num_tokens == 0) return;
    const at::Tensor y = random_tensor(random, output.sizes(), dtype);
    const variable_list x = {inputs.query, inputs.key, inputs.value};
    const variable_list left = grad({output}, x, {y});
    const variable_list right = grad({dense}, x, {y});
    for (size_t i = 0; i < 3; ++i) {
      ASSERT_TRUE(within(left[i], right[i], 8 * roundoff(dtype) * (right[i].abs() + 1))) << "input " << i;
    }
  });
  EXPECT_GT(one_level, 0);
}

// The stages themselves at L = 1 are identities.
TEST(Attention, StagesAtOneLevelAreIdentities) {
  Random random(seed());
  Case c;
  c.num_tokens = 37;
  c.head_dim = 5;
  c.options.num_levels = 1;
  const Inputs inputs = random_inputs(random, c, at::kFloat);
  const Tree tree = select(inputs.query, inputs.key, selection_options(c));
  const Gathered gathered = gather(inputs.query, inputs.key, inputs.value, tree);
  EXPECT_TRUE(bit_equal(gathered.query, inputs.query));
  EXPECT_TRUE(bit_equal(gathered.key, inputs.key));
  EXPECT_TRUE(bit_equal(gathered.value, inputs.value));
  EXPECT_TRUE(bit_equal(scatter(inputs.value, tree), inputs.value));
}

// ---- Causality given the tree ----

TEST(Attention, LaterTokensDoNotReachEarlierOutputs) {
  const Limits limits = {.max_tokens = 200, .max_batch = 2, .max_head_dim = 17, .shorter = true, .empty_batch = false};
  for_each_case("Attention.causality", 60, limits, [](const Case& c, Random& random) {
    const at::ScalarType dtype = random.pick<at::ScalarType>({at::kDouble, at::kFloat});
    const Trees trees = random_trees(random, c);  // given scores: the tree stays
    const AttentionOptions options = attention_options(c, trees.scores);
    Inputs inputs = random_inputs(random, c, dtype);
    const int64_t token = random.integer(0, c.num_tokens - 1);
    Inputs changed;
    const auto change = [&](const at::Tensor& x) {
      return at::cat({x.slice(2, 0, token + 1), random_tensor(random, x.slice(2, token + 1).sizes(), dtype) * 10}, 2);
    };
    changed = {change(inputs.query), change(inputs.key), change(inputs.value)};
    for (at::Tensor* x : {&inputs.query, &inputs.key, &inputs.value}) x->requires_grad_();

    const at::Tensor output = attention(inputs.query, inputs.key, inputs.value, options);
    const at::Tensor other = attention(changed.query, changed.key, changed.value, options);
    const at::Tensor early = output.slice(2, 0, token + 1);
    ASSERT_TRUE(within(other.slice(2, 0, token + 1), early, tolerance(64 * roundoff(dtype))))
        << "outputs up to " << token;

    const variable_list grads =
        grad({early}, {inputs.query, inputs.key, inputs.value}, {random_tensor(random, early.sizes(), dtype)});
    for (size_t i = 0; i < 3; ++i) {
      const at::Tensor late = grads[i].slice(2, token + 1);
      ASSERT_TRUE(late.numel() == 0 || late.eq(0).all().item<bool>())
          << "gradient of outputs up to " << token << ", input " << i;
    }
  });
}

TEST(Attention, LaterNaNDoesNotReachEarlierOutputs) {
  const Limits limits = {.max_tokens = 150, .max_batch = 1, .max_head_dim = 9, .shorter = true, .empty_batch = false};
  for_each_case("Attention.nan", 40, limits, [](const Case& c, Random& random) {
    const Trees trees = random_trees(random, c);
    AttentionOptions options = attention_options(c, trees.scores);
    options.inner = row_by_row;  // a masked product may make NaN of 0 * NaN; that is the inner kernel's matter
    const Inputs inputs = random_inputs(random, c, at::kDouble);
    const at::Tensor clean = attention(inputs.query, inputs.key, inputs.value, options);
    const int64_t token = random.integer(0, c.num_tokens - 1);
    const double special = random.pick<double>({std::nan(""), std::numeric_limits<double>::infinity()});
    for (const at::Tensor& x : {inputs.query, inputs.key, inputs.value}) x.select(2, token).fill_(special);
    const at::Tensor spoiled = attention(inputs.query, inputs.key, inputs.value, options);
    ASSERT_TRUE(bit_equal(spoiled.slice(2, 0, token), clean.slice(2, 0, token)));
  });
}

// NaN and infinite vectors select, gather and attend without a crash, in the right shape.
TEST(Attention, SurvivesNaNAndInfinity) {
  for_each_case("Attention.survives", 30, {.max_tokens = 200, .shorter = true}, [](const Case& c, Random& random) {
    Inputs inputs = random_inputs(random, c, at::kFloat);
    for (at::Tensor* x : {&inputs.query, &inputs.key, &inputs.value}) {
      x->masked_fill_(random_tensor(random, x->sizes(), at::kDouble).gt(1), random.chance(0.5) ? NAN : INFINITY)
          .requires_grad_();
    }
    AttentionOptions options;
    static_cast<SelectionOptions&>(options) = selection_options(c);
    const at::Tensor output = attention(inputs.query, inputs.key, inputs.value, options);
    ASSERT_EQ(output.sizes(), inputs.query.sizes());
    if (output.numel() > 0) grad({output.sum()}, {inputs.query, inputs.key, inputs.value});
  });
}

// ---- The inner kernel and the rest ----

TEST(Attention, CallsTheInnerKernelOnce) {
  const Limits limits = {.max_tokens = 200, .shorter = true, .empty_batch = false};
  for_each_case("Attention.inner", 30, limits, [](const Case& c, Random& random) {
    const Trees trees = random_trees(random, c);
    const Inputs inputs = random_inputs(random, c, at::kFloat);
    const int64_t length = c.geometry().retained_length();
    AttentionOptions options = attention_options(c, trees.scores);
    options.scale = 0.25;
    const at::Tensor expected = attention(inputs.query, inputs.key, inputs.value, options);
    int calls = 0;
    options.inner = [&](const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, double scale) {
      ++calls;
      EXPECT_EQ(query.sizes(), (at::IntArrayRef{c.batch, c.heads, length, c.head_dim}));
      EXPECT_EQ(key.sizes(), (at::IntArrayRef{c.batch, c.key_heads, length, c.head_dim}));
      EXPECT_EQ(value.sizes(), key.sizes());
      EXPECT_EQ(scale, 0.25);
      const Gathered gathered = gather(inputs.query, inputs.key, inputs.value, trees.tree);
      EXPECT_TRUE(bit_equal(query, gathered.query));
      EXPECT_TRUE(bit_equal(key, gathered.key));
      EXPECT_TRUE(bit_equal(value, gathered.value));
      return dense_attention(query, key, value, scale);
    };
    const at::Tensor output = attention(inputs.query, inputs.key, inputs.value, options);
    ASSERT_EQ(calls, 1);
    ASSERT_TRUE(within(output, expected, tolerance(1e-5)));
  });
}

TEST(Attention, StagesMakeTheLayer) {
  const Limits limits = {.max_tokens = 200, .shorter = true};
  for_each_case("Attention.stages", 40, limits, [](const Case& c, Random& random) {
    const Inputs inputs = random_inputs(random, c, at::kDouble);
    AttentionOptions options;
    static_cast<SelectionOptions&>(options) = selection_options(c);
    const Tree tree = select(inputs.query, inputs.key, options);
    const Gathered gathered = gather(inputs.query, inputs.key, inputs.value, tree);
    const at::Tensor output = scatter(dense_attention(gathered.query, gathered.key, gathered.value), tree);
    ASSERT_TRUE(within(attention(inputs.query, inputs.key, inputs.value, options), output, tolerance(1e-12)));
  });
}

TEST(Attention, BatchRowsAreIndependent) {
  const Limits limits = {.max_tokens = 200, .shorter = true, .empty_batch = false};
  for_each_case("Attention.rows", 40, limits, [](const Case& c, Random& random) {
    const Inputs inputs = random_inputs(random, c, at::kDouble);
    AttentionOptions options;
    static_cast<SelectionOptions&>(options) = selection_options(c);
    const at::Tensor all = attention(inputs.query, inputs.key, inputs.value, options);
    const int64_t b = random.integer(0, c.batch - 1);
    const auto row = [&](const at::Tensor& x) { return x.narrow(0, b, 1); };
    ASSERT_TRUE(
        within(attention(row(inputs.query), row(inputs.key), row(inputs.value), options), row(all), tolerance(1e-12)));
  });
}

TEST(Attention, EmptyAndTiny) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kDouble}) {
    for (const int64_t num_tokens : {0, 1, 15, 16, 17, 300}) {
      for (const int64_t batch : {0, 1}) {
        Random random(seed());
        Case c;
        c.batch = batch;
        c.heads = 4;
        c.key_heads = 2;
        c.num_tokens = num_tokens;
        c.head_dim = 8;
        c.options.top_k = 2;
        Inputs inputs = random_inputs(random, c, dtype);
        for (at::Tensor* x : {&inputs.query, &inputs.key, &inputs.value}) x->requires_grad_();
        AttentionOptions options;
        static_cast<SelectionOptions&>(options) = selection_options(c);
        const at::Tensor output = attention(inputs.query, inputs.key, inputs.value, options);
        EXPECT_EQ(output.sizes(), inputs.query.sizes());
        EXPECT_EQ(output.scalar_type(), dtype);
        EXPECT_TRUE(at::isfinite(output).all().item<bool>());
        const variable_list grads = grad({output.sum()}, {inputs.query, inputs.key, inputs.value});
        EXPECT_EQ(grads[0].sizes(), inputs.query.sizes());
        EXPECT_EQ(grads[1].sizes(), inputs.key.sizes());
        EXPECT_EQ(grads[2].sizes(), inputs.value.sizes());
        if (num_tokens == 1 && batch == 1) {  // a token alone attends to itself
          EXPECT_TRUE(within(output, inputs.value.repeat_interleave(2, 1), tolerance(1e-6)));
        }
      }
    }
  }
}

}  // namespace
}  // namespace lighthouse::test
