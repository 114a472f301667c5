// Gather, scatter and their adjoints against explicit matrices (docs/ALGORITHM.md 6, 7).
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <set>

#include "tensors.h"

namespace lighthouse::test {
namespace {

using torch::autograd::grad;
using torch::autograd::variable_list;

const std::vector<at::ScalarType> kDtypes = {at::kFloat, at::kBFloat16, at::kDouble};

/// Accumulation is in float32, or in float64 for float64 (section 2).
double accumulation_roundoff(at::ScalarType dtype) { return std::min(roundoff(at::kFloat), roundoff(dtype)); }

/// actual = matrix x, but for what rounding may do: a sum of m products in any order is off by at most (m + 2)
/// roundoffs of the sum of magnitudes, and the result is rounded once to its dtype.
::testing::AssertionResult equals_product(const at::Tensor& actual, const at::Tensor& matrix, const at::Tensor& x) {
  const at::Tensor exact = at::matmul(matrix, x.to(at::kDouble));
  const at::Tensor terms = matrix.ne(0).sum(-1, true).to(at::kDouble);
  const at::Tensor magnitude = at::matmul(matrix.abs(), x.to(at::kDouble).abs());
  const at::ScalarType dtype = actual.scalar_type();
  if (dtype != x.scalar_type())
    return ::testing::AssertionFailure() << "dtype " << actual.toString() << " from " << x.toString();
  // float64 is held against another float64 sum: twice.
  const double doubled = dtype == at::kDouble ? 2 : 1;
  const at::Tensor bound =
      (terms + 2) * magnitude * (doubled * accumulation_roundoff(dtype)) + exact.abs() * (1.01 * roundoff(dtype));
  return within(actual, exact, bound);
}

/// Gather and scatter of a case as matrices over the query heads and over the key heads.
struct Operators {
  at::Tensor gather_query;  // [B, H, S, N]
  at::Tensor gather_key;    // [B, K, S, N]
  at::Tensor scatter;       // [B, H, N, S]
};

Operators operators(const Case& c, const std::vector<reference::Selection>& selections) {
  const reference::Pyramid pyramid = c.pyramid();
  const auto pool = reference::gather_matrices(pyramid, selections);
  return {to_tensor(pool, c, c.heads), to_tensor(pool, c, c.key_heads),
          to_tensor(reference::scatter_matrices(pyramid, selections), c, c.heads)};
}

std::vector<int64_t> gathered_sizes(const Case& c, int64_t heads) {
  return {c.batch, heads, c.geometry().retained_length(), c.head_dim};
}

// ---- Values ----

TEST(GatherScatter, ValuesAndGradientsEqualTheMatrices) {
  const Limits limits = {.max_tokens = 300, .max_batch = 2, .empty_batch = false};
  for_each_case("GatherScatter.values", 250, limits, [](const Case& c, Random& random) {
    const at::ScalarType dtype = random.pick(kDtypes);
    const Trees trees = random_trees(random, c);
    const Operators matrices = operators(c, trees.selections);
    Inputs inputs = random_inputs(random, c, dtype);
    const std::vector<int64_t> pooled_query = gathered_sizes(c, c.heads);
    const std::vector<int64_t> pooled_key = gathered_sizes(c, c.key_heads);
    for (at::Tensor* x : {&inputs.query, &inputs.key, &inputs.value}) {
      *x = with_layout(*x, random.integer(0, kLayouts - 1)).requires_grad_();
    }

    poison({pooled_query, pooled_key}, dtype);
    const Gathered gathered = gather(inputs.query, inputs.key, inputs.value, trees.tree);
    ASSERT_TRUE(equals_product(gathered.query, matrices.gather_query, inputs.query.detach())) << "gather, query";
    ASSERT_TRUE(equals_product(gathered.key, matrices.gather_key, inputs.key.detach())) << "gather, key";
    ASSERT_TRUE(equals_product(gathered.value, matrices.gather_key, inputs.value.detach())) << "gather, value";

    const variable_list gathered_grads = {
        with_layout(random_tensor(random, pooled_query, dtype), random.integer(0, kLayouts - 1)),
        with_layout(random_tensor(random, pooled_key, dtype), random.integer(0, kLayouts - 1)),
        with_layout(random_tensor(random, pooled_key, dtype), random.integer(0, kLayouts - 1))};
    poison({inputs.query.sizes(), inputs.key.sizes()}, dtype);
    const variable_list grads =
        grad({gathered.query, gathered.key, gathered.value}, {inputs.query, inputs.key, inputs.value}, gathered_grads);
    ASSERT_TRUE(equals_product(grads[0], matrices.gather_query.mT(), gathered_grads[0])) << "gather backward, query";
    ASSERT_TRUE(equals_product(grads[1], matrices.gather_key.mT(), gathered_grads[1])) << "gather backward, key";
    ASSERT_TRUE(equals_product(grads[2], matrices.gather_key.mT(), gathered_grads[2])) << "gather backward, value";

    const at::Tensor rows =
        with_layout(random_tensor(random, pooled_query, dtype), random.integer(0, kLayouts - 1)).requires_grad_();
    poison({inputs.query.sizes()}, dtype);
    const at::Tensor output = scatter(rows, trees.tree);
    ASSERT_TRUE(equals_product(output, matrices.scatter, rows.detach())) << "scatter";

    const at::Tensor output_grad =
        with_layout(random_tensor(random, output.sizes(), dtype), random.integer(0, kLayouts - 1));
    poison({pooled_query}, dtype);
    ASSERT_TRUE(equals_product(grad({output}, {rows}, {output_grad})[0], matrices.scatter.mT(), output_grad))
        << "scatter backward";
  });
}

// Section 6: at most one entry per level, added in float32 from the coarsest level down, rounded once. One way to
// round.
TEST(GatherScatter, ScatterAddsCoarseToFineAndRoundsOnce) {
  const Limits limits = {.max_tokens = 300, .max_head_dim = 20};
  for_each_case("GatherScatter.order of addition", 100, limits, [](const Case& c, Random& random) {
    const at::ScalarType dtype = random.pick(kDtypes);
    const Trees trees = random_trees(random, c);
    const at::Tensor rows = random_tensor(random, gathered_sizes(c, c.heads), dtype);
    const at::ScalarType wide = dtype == at::kDouble ? at::kDouble : at::kFloat;
    at::Tensor expected = at::zeros({c.batch, c.heads, c.num_tokens, c.head_dim}, wide);
    const reference::Pyramid pyramid = c.pyramid();
    for (int64_t row = 0; row < c.batch * c.heads; ++row) {
      const int64_t b = row / c.heads;
      const int64_t h = row % c.heads;
      const auto& selection = trees.selections[static_cast<size_t>(b * c.key_heads + h / (c.heads / c.key_heads))];
      at::Tensor sum = expected[b][h];
      const at::Tensor source = rows[b][h].to(wide);
      for (int64_t level = c.options.num_levels - 1; level >= 0; --level) {
        for (size_t rank = 0; rank < selection.order.size(); ++rank) {
          if (selection.order[rank].level != level || !selection.writes[rank]) continue;
          const std::vector<int64_t> tokens = pyramid.write_tokens(selection.order[rank]);
          sum.narrow(0, tokens.front(), static_cast<int64_t>(tokens.size())).add_(source[static_cast<int64_t>(rank)]);
        }
      }
    }
    // + 0 so that -0 and +0 are the same zero.
    ASSERT_TRUE(bit_equal(scatter(rows, trees.tree) + 0, expected.to(dtype) + 0));
  });
}

TEST(GatherScatter, Adjoint) {
  for_each_case(
      "GatherScatter.adjoint", 150, {.max_batch = 2, .max_head_dim = 20, .empty_batch = false},
      [](const Case& c, Random& random) {
        const Trees trees = random_trees(random, c);
        Inputs inputs = random_inputs(random, c, at::kDouble);
        for (at::Tensor* x : {&inputs.query, &inputs.key, &inputs.value}) x->requires_grad_();
        const Gathered gathered = gather(inputs.query, inputs.key, inputs.value, trees.tree);
        const variable_list outputs = {gathered.query, gathered.key, gathered.value};
        variable_list y;
        for (const at::Tensor& output : outputs) y.push_back(random_tensor(random, output.sizes(), at::kDouble));
        const variable_list x = {inputs.query, inputs.key, inputs.value};
        const variable_list adjoint = grad(outputs, x, y);
        const double tolerance = 1e-13 * static_cast<double>(c.batch * c.heads * (c.num_tokens + 1) * c.head_dim);
        for (size_t i = 0; i < 3; ++i) {
          const double forward = (outputs[i] * y[i]).sum().item<double>();
          ASSERT_NEAR(forward, (x[i] * adjoint[i]).sum().item<double>(), tolerance) << "gather, input " << i;
        }
        const at::Tensor rows = random_tensor(random, gathered.query.sizes(), at::kDouble).requires_grad_();
        const at::Tensor output = scatter(rows, trees.tree);
        const at::Tensor z = random_tensor(random, output.sizes(), at::kDouble);
        const at::Tensor rows_grad = grad({output}, {rows}, {z})[0];
        ASSERT_NEAR((output * z).sum().item<double>(), (rows * rows_grad).sum().item<double>(), tolerance) << "scatter";
      });
}

// Section 7. Scattering ones counts the contributions.
TEST(GatherScatter, EveryPositionIsCovered) {
  for_each_case("GatherScatter.coverage", 200, {.max_head_dim = 3}, [](const Case& c, Random& random) {
    const Trees trees = random_trees(random, c);
    const at::Tensor count = scatter(at::ones(gathered_sizes(c, c.heads), at::kFloat), trees.tree);
    if (count.numel() == 0) return;
    ASSERT_TRUE(count.le(c.options.num_levels).all().item<bool>());
    if (c.options.cover_prefix) {
      ASSERT_TRUE(count.ge(1).all().item<bool>());
    }
    const reference::Pyramid pyramid = c.pyramid();
    at::Tensor expected = at::zeros({c.batch, c.heads, c.num_tokens, c.head_dim}, at::kFloat);
    for (int64_t row = 0; row < c.batch * c.heads; ++row) {
      const int64_t h = row % c.heads;
      const auto& selection =
          trees.selections[static_cast<size_t>(row / c.heads * c.key_heads + h / (c.heads / c.key_heads))];
      std::vector<float> contributions(static_cast<size_t>(c.num_tokens));
      for (size_t rank = 0; rank < selection.order.size(); ++rank) {
        if (!selection.writes[rank]) continue;
        for (const int64_t token : pyramid.write_tokens(selection.order[rank]))
          ++contributions[static_cast<size_t>(token)];
      }
      expected[row / c.heads][h].copy_(at::tensor(contributions).unsqueeze(-1).expand({c.num_tokens, c.head_dim}));
    }
    ASSERT_TRUE(bit_equal(count, expected));
  });
}

// The other primitive's adjoint takes no gradient where none is asked for.
TEST(GatherScatter, MixedRequiresGrad) {
  for (int mask = 1; mask < 8; ++mask) {
    Random random(seed());
    Case c;
    c.heads = c.key_heads = 2;
    c.num_tokens = 50;
    c.head_dim = 4;
    c.options.top_k = 4;
    const Trees trees = random_trees(random, c);
    Inputs inputs = random_inputs(random, c, at::kDouble);
    variable_list wanted;
    for (at::Tensor* x : {&inputs.query, &inputs.key, &inputs.value}) {
      const bool want = ((mask >> (x == &inputs.query ? 0 : x == &inputs.key ? 1 : 2)) & 1) != 0;
      x->requires_grad_(want);
      if (want) wanted.push_back(*x);
    }
    const Gathered gathered = gather(inputs.query, inputs.key, inputs.value, trees.tree);
    const variable_list grads = grad({gathered.query.sum() + gathered.key.sum() + gathered.value.sum()}, wanted);
    const at::Tensor expected = operators(c, trees.selections).gather_query.mT().sum(-1, true).expand_as(inputs.query);
    for (const at::Tensor& gradient : grads)
      EXPECT_TRUE(within(gradient, expected, at::scalar_tensor(1e-12, at::kDouble)));
  }
}

// ---- Bits ----

struct Everything {
  std::vector<at::Tensor> tensors;  // outputs, then gradients, of gather and scatter
};

Everything run_all(const Inputs& given, const at::Tensor& rows_in, const variable_list& grads_in, const Tree& tree) {
  const variable_list x = {given.query.detach().requires_grad_(), given.key.detach().requires_grad_(),
                           given.value.detach().requires_grad_()};
  const at::Tensor rows = rows_in.detach().requires_grad_();
  const at::ScalarType dtype = rows.scalar_type();
  poison({rows.sizes(), given.query.sizes(), given.key.sizes()}, dtype);
  const Gathered gathered = gather(x[0], x[1], x[2], tree);
  const at::Tensor output = scatter(rows, tree);
  poison({rows.sizes(), given.query.sizes(), given.key.sizes()}, dtype);
  const variable_list input_grads =
      grad({gathered.query, gathered.key, gathered.value}, x, {grads_in[0], grads_in[1], grads_in[2]});
  const at::Tensor rows_grad = grad({output}, {rows}, {grads_in[3]})[0];
  return {{gathered.query, gathered.key, gathered.value, output, input_grads[0], input_grads[1], input_grads[2],
           rows_grad}};
}

void expect_same_bits(const Everything& left, const Everything& right) {
  for (size_t i = 0; i < left.tensors.size(); ++i) {
    ASSERT_TRUE(bit_equal(left.tensors[i], right.tensors[i]))
        << "tensor " << i << " of gather, scatter, their gradients";
  }
}

TEST(GatherScatter, LayoutsThreadsAndRunsGiveTheSameBits) {
  const int threads = at::get_num_threads();
  const Limits limits = {.max_tokens = 1200, .max_batch = 2, .max_key_heads = 2, .max_group = 2};
  for_each_case("GatherScatter.bits", 80, limits, [](const Case& c, Random& random) {
    const at::ScalarType dtype = random.pick(kDtypes);
    const Trees trees = random_trees(random, c);
    const Inputs inputs = random_inputs(random, c, dtype);
    const at::Tensor rows = random_tensor(random, gathered_sizes(c, c.heads), dtype);
    const variable_list grads = {random_tensor(random, rows.sizes(), dtype),
                                 random_tensor(random, gathered_sizes(c, c.key_heads), dtype),
                                 random_tensor(random, gathered_sizes(c, c.key_heads), dtype),
                                 random_tensor(random, inputs.query.sizes(), dtype)};
    at::set_num_threads(1);
    const Everything first = run_all(inputs, rows, grads, trees.tree);
    for (const int count : {2, 3, 2}) {
      at::set_num_threads(count);
      const auto layout = [&](const at::Tensor& x) { return with_layout(x, random.integer(0, kLayouts - 1)); };
      const Inputs awkward = {layout(inputs.query), layout(inputs.key), layout(inputs.value)};
      const variable_list awkward_grads = {layout(grads[0]), layout(grads[1]), layout(grads[2]), layout(grads[3])};
      expect_same_bits(first, run_all(awkward, layout(rows), awkward_grads, trees.tree));
      if (HasFailure()) return;
    }
  });
  at::set_num_threads(threads);
}

// Large enough for every thread to get work, whatever the grain.
TEST(GatherScatter, LongSequencesGiveTheSameBits) {
  const int threads = at::get_num_threads();
  for_each_random("GatherScatter.long", 3, [](Random& random) {
    Case c;
    c.batch = 1;
    c.heads = 4;
    c.key_heads = 2;
    c.num_tokens = random.integer(30000, 40000);
    c.head_dim = 24;
    c.options.top_k = 256;
    c.options.causal_selection = random.chance(0.5);
    const at::ScalarType dtype = random.pick(kDtypes);
    const Inputs inputs = random_inputs(random, c, dtype);
    at::set_num_threads(1);
    const Tree tree = select(inputs.query, inputs.key, selection_options(c));
    const at::Tensor rows = random_tensor(random, gathered_sizes(c, c.heads), dtype);
    const variable_list grads = {random_tensor(random, rows.sizes(), dtype),
                                 random_tensor(random, gathered_sizes(c, c.key_heads), dtype),
                                 random_tensor(random, gathered_sizes(c, c.key_heads), dtype),
                                 random_tensor(random, inputs.query.sizes(), dtype)};
    const Everything first = run_all(inputs, rows, grads, tree);
    for (const int count : {2, 3}) {
      at::set_num_threads(count);
      const Tree again = select(inputs.query, inputs.key, selection_options(c));
      ASSERT_TRUE(bit_equal(tree.nodes, again.nodes));
      expect_same_bits(first, run_all(inputs, rows, grads, again));
      if (HasFailure()) return;
    }
  });
  at::set_num_threads(threads);
}

// Heads, rows or all of a gradient that are one value with stride 0, as sum() gives them.
TEST(GatherScatter, ExpandedInputs) {
  for_each_case("GatherScatter.expanded", 40, {.max_batch = 2, .max_head_dim = 33}, [](const Case& c, Random& random) {
    const at::ScalarType dtype = random.pick(kDtypes);
    const Trees trees = random_trees(random, c);
    const Inputs inputs = {random_tensor(random, {1, 1, c.num_tokens, c.head_dim}, dtype)
                               .expand({c.batch, c.heads, c.num_tokens, c.head_dim}),
                           random_tensor(random, {c.batch, c.key_heads, 1, c.head_dim}, dtype)
                               .expand({c.batch, c.key_heads, c.num_tokens, c.head_dim}),
                           random_tensor(random, {c.batch, 1, c.num_tokens, 1}, dtype)
                               .expand({c.batch, c.key_heads, c.num_tokens, c.head_dim})};
    const at::Tensor rows = random_tensor(random, {1, 1, 1, c.head_dim}, dtype).expand(gathered_sizes(c, c.heads));
    const at::Tensor one = random_tensor(random, {1, 1, 1, 1}, dtype);
    const variable_list grads = {one.expand(rows.sizes()), one.expand(gathered_sizes(c, c.key_heads)),
                                 one.expand(gathered_sizes(c, c.key_heads)), one.expand(inputs.query.sizes())};
    variable_list whole_grads;
    for (const at::Tensor& x : grads) whole_grads.push_back(x.contiguous());
    const Inputs whole = {inputs.query.contiguous(), inputs.key.contiguous(), inputs.value.contiguous()};
    expect_same_bits(run_all(whole, rows.contiguous(), whole_grads, trees.tree),
                     run_all(inputs, rows, grads, trees.tree));
  });
}

TEST(GatherScatter, BatchRowsAreIndependent) {
  for_each_case("GatherScatter.rows", 60, {.empty_batch = false}, [](const Case& c, Random& random) {
    const at::ScalarType dtype = random.pick(kDtypes);
    const Trees trees = random_trees(random, c);
    const Inputs inputs = random_inputs(random, c, dtype);
    const at::Tensor rows = random_tensor(random, gathered_sizes(c, c.heads), dtype);
    const variable_list grads = {random_tensor(random, rows.sizes(), dtype),
                                 random_tensor(random, gathered_sizes(c, c.key_heads), dtype),
                                 random_tensor(random, gathered_sizes(c, c.key_heads), dtype),
                                 random_tensor(random, inputs.query.sizes(), dtype)};
    const int64_t b = random.integer(0, c.batch - 1);
    const auto row = [&](const at::Tensor& x) { return x.narrow(0, b, 1); };
    Everything all = run_all(inputs, rows, grads, trees.tree);
    for (at::Tensor& tensor : all.tensors) tensor = row(tensor);
    const Tree tree{row(trees.tree.nodes), trees.tree.geometry};
    expect_same_bits(all, run_all({row(inputs.query), row(inputs.key), row(inputs.value)}, row(rows),
                                  {row(grads[0]), row(grads[1]), row(grads[2]), row(grads[3])}, tree));
  });
}

// What the test below runs once per instruction set, each in a process of its own: they are chosen at the first call.
TEST(Bits, DISABLED_Fingerprint) {
  uint64_t hash = 14695981039346656037ULL;
  const auto add = [&](const at::Tensor& tensor) {
    const at::Tensor bytes = tensor.detach().contiguous();
    const auto* data = static_cast<const uint8_t*>(bytes.const_data_ptr());
    for (size_t i = 0; i < bytes.nbytes(); ++i) hash = (hash ^ data[i]) * 1099511628211ULL;
  };
  const Limits limits = {.max_tokens = 300, .max_batch = 2, .max_key_heads = 2, .max_group = 2};
  for_each_case("Bits.fingerprint", 30, limits, [&](const Case& c, Random& random) {
    for (const at::ScalarType dtype : kDtypes) {
      const Inputs inputs = random_inputs(random, c, dtype);
      const Tree tree = select(inputs.query, inputs.key, selection_options(c));
      const at::Tensor rows = random_tensor(random, gathered_sizes(c, c.heads), dtype);
      const variable_list grads = {rows, random_tensor(random, gathered_sizes(c, c.key_heads), dtype),
                                   random_tensor(random, gathered_sizes(c, c.key_heads), dtype), inputs.query};
      add(tree.nodes);
      for (const at::Tensor& tensor : run_all(inputs, rows, grads, tree).tensors) add(tensor);
    }
  });
  std::cout << "fingerprint " << hash << std::endl;
}

TEST(Bits, InstructionSetsGiveTheSame) {
  std::set<std::string> fingerprints;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  for (const char* isa : {"baseline", "avx2", "avx512"}) {
    // Without GTEST_OUTPUT, or the child would write over this program's results.
    const std::string command = "env -u GTEST_OUTPUT LIGHTHOUSE_CPU_ISA=" + std::string(isa) + " '" + program +
                                "' --gtest_also_run_disabled_tests --gtest_filter=Bits.DISABLED_Fingerprint";
    FILE* pipe = popen(command.c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    std::string output;
    for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) output += static_cast<char>(c);
    const int status = pclose(pipe);
    // One that the machine does not have is refused by name; every machine has the baseline.
    if (std::string(isa) != "baseline" && output.find("must be one of what this machine has") != std::string::npos) {
      std::cout << "without " << isa << ", which this machine does not have" << std::endl;
      continue;
    }
    ASSERT_EQ(status, 0) << output;
    const size_t at = output.find("fingerprint ");
    ASSERT_NE(at, std::string::npos) << output;
    fingerprints.insert(output.substr(at, output.find('\n', at) - at));
  }
  EXPECT_EQ(fingerprints.size(), 1U) << ::testing::PrintToString(fingerprints);
}

// ---- NaN and infinities ----

/// Elements where a row of `matrix` has a weight on a marked row of x. marked: [B, heads, rows, D] bool.
at::Tensor reached(const at::Tensor& matrix, const at::Tensor& marked) {
  return at::matmul(matrix.ne(0).to(at::kDouble), marked.to(at::kDouble)).gt(0);
}

TEST(GatherScatter, NaNReachesItsOwnOutputsOnly) {
  const Limits limits = {.max_tokens = 300, .max_batch = 2, .max_head_dim = 33, .empty_batch = false};
  for_each_case("GatherScatter.nan", 100, limits, [](const Case& c, Random& random) {
    const at::ScalarType dtype = random.pick(kDtypes);
    const Trees trees = random_trees(random, c);
    const Operators matrices = operators(c, trees.selections);
    const double special = random.pick<double>({std::nan(""), std::numeric_limits<double>::infinity()});
    const auto spoil = [&](at::Tensor x) {
      return x.masked_fill_(random_tensor(random, x.sizes(), at::kDouble).gt(2), special);
    };
    Inputs inputs = random_inputs(random, c, dtype);
    for (at::Tensor* x : {&inputs.query, &inputs.key, &inputs.value}) spoil(*x);
    const at::Tensor rows = spoil(random_tensor(random, gathered_sizes(c, c.heads), dtype));
    const variable_list grads = {spoil(random_tensor(random, rows.sizes(), dtype)),
                                 spoil(random_tensor(random, gathered_sizes(c, c.key_heads), dtype)),
                                 spoil(random_tensor(random, gathered_sizes(c, c.key_heads), dtype)),
                                 spoil(random_tensor(random, inputs.query.sizes(), dtype))};
    const Everything out = run_all(inputs, rows, grads, trees.tree);
    const at::Tensor pool = matrices.gather_query;
    const at::Tensor key_pool = matrices.gather_key;
    const std::vector<std::pair<at::Tensor, at::Tensor>> expected = {
        {pool, inputs.query},  {key_pool, inputs.key},    {key_pool, inputs.value},  {matrices.scatter, rows},
        {pool.mT(), grads[0]}, {key_pool.mT(), grads[1]}, {key_pool.mT(), grads[2]}, {matrices.scatter.mT(), grads[3]}};
    for (size_t i = 0; i < expected.size(); ++i) {
      const auto& [matrix, x] = expected[i];
      const at::Tensor bad = at::isfinite(out.tensors[i]).logical_not();
      ASSERT_TRUE(bit_equal(bad, reached(matrix, at::isfinite(x).logical_not()))) << "tensor " << i;
    }
  });
}

// 4b: rows that do not write are dropped, not multiplied by zero, and get a gradient of exactly zero.
TEST(GatherScatter, RowsThatDoNotWriteAreDropped) {
  int64_t silent_rows = 0;
  for_each_case("GatherScatter.silent rows", 80, {.empty_batch = false}, [&](const Case& given, Random& random) {
    Case c = given;
    c.options.cover_prefix = c.options.causal_selection = true;
    const at::ScalarType dtype = random.pick(kDtypes);
    const Trees trees = random_trees(random, c);
    const at::Tensor silent =
        trees.tree.writes().logical_not().repeat_interleave(c.heads / c.key_heads, 1).unsqueeze(-1);  // [B, H, S, 1]
    silent_rows += silent.sum().item<int64_t>();
    const at::Tensor rows = random_tensor(random, gathered_sizes(c, c.heads), dtype);
    const at::Tensor spoiled = rows.masked_fill(silent, NAN).requires_grad_();
    const at::Tensor output = scatter(spoiled, trees.tree);
    ASSERT_TRUE(bit_equal(output, scatter(rows.masked_fill(silent, 7), trees.tree)));
    ASSERT_TRUE(at::isfinite(output).all().item<bool>());
    const at::Tensor gradient = grad({output}, {spoiled}, {at::full(output.sizes(), NAN, dtype)})[0];
    ASSERT_TRUE(bit_equal(gradient.masked_select(silent), at::zeros(silent.sum().item<int64_t>() * c.head_dim, dtype)));
  });
  EXPECT_GT(silent_rows, 0);
}

// ---- Small and empty ----

TEST(GatherScatter, EmptyAndTiny) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const int64_t num_tokens : {0, 1, 2, 15, 16, 17}) {
      for (const int64_t batch : {0, 1}) {
        Random random(seed());
        Case c;
        c.batch = batch;
        c.heads = 2;
        c.num_tokens = num_tokens;
        c.head_dim = 3;
        c.options.top_k = 2;
        const Trees trees = random_trees(random, c);
        const Inputs inputs = random_inputs(random, c, dtype);
        const at::Tensor rows = random_tensor(random, gathered_sizes(c, c.heads), dtype);
        const variable_list grads = {rows, random_tensor(random, gathered_sizes(c, 1), dtype),
                                     random_tensor(random, gathered_sizes(c, 1), dtype), inputs.query};
        const Everything out = run_all(inputs, rows, grads, trees.tree);
        EXPECT_EQ(out.tensors[0].sizes(), rows.sizes());
        EXPECT_EQ(out.tensors[3].sizes(), inputs.query.sizes());
        if (num_tokens < 16) {  // N < F: all tail
          EXPECT_TRUE(bit_equal(out.tensors[0], inputs.query));
          EXPECT_TRUE(bit_equal(out.tensors[3], rows));
          EXPECT_TRUE(bit_equal(out.tensors[4], rows));
          EXPECT_TRUE(bit_equal(out.tensors[7], inputs.query));
        }
      }
    }
  }
}

}  // namespace
}  // namespace lighthouse::test
