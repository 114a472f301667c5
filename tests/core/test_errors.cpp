// Bad arguments throw c10::Error, and the message names the operation, what was expected and what came.
#include <functional>

#include "tensors.h"

namespace lighthouse::test {
namespace {

void expect_error(const std::function<void()>& call, const std::vector<std::string>& words) {
  std::string listed;
  for (const std::string& word : words) listed += " '" + word + "'";
  try {
    call();
    ADD_FAILURE() << "no error, expected one with" << listed;
  } catch (const c10::Error& error) {
    const std::string message = error.what_without_backtrace();
    for (const std::string& word : words) {
      EXPECT_NE(message.find(word), std::string::npos) << "'" << word << "' is not in: " << message;
    }
  } catch (const std::exception& error) {
    ADD_FAILURE() << "not a c10::Error: " << error.what();
  }
}

at::Tensor zeros(at::IntArrayRef sizes, at::ScalarType dtype = at::kFloat) { return at::zeros(sizes, dtype); }

SelectionOptions small_options() {
  SelectionOptions options;
  options.top_k = 4;
  options.num_tiles = 1;
  return options;
}

// N = 96, L = 3, p = 4, k = 4: F = 16, M = 6, S = 6 + 2 * 4 * 4 = 38.
class Errors : public ::testing::Test {
 protected:
  at::Tensor query = zeros({2, 4, 96, 8});
  at::Tensor key = zeros({2, 2, 96, 8});
  Tree tree = lighthouse::select(query, key, small_options());
};

TEST_F(Errors, RetainedLengthIsAsExpected) { ASSERT_EQ(tree.geometry.retained_length(), 38); }

// ---- select ----

TEST_F(Errors, SelectChecksRanksAndShapes) {
  const auto call = [&](const at::Tensor& q, const at::Tensor& k) {
    return [=] { lighthouse::select(q, k, small_options()); };
  };
  expect_error(call(zeros({4, 96, 8}), key), {"lighthouse::select", "quer", "[4, 96, 8]"});
  expect_error(call(zeros({1, 2, 4, 96, 8}), key), {"lighthouse::select", "quer", "[1, 2, 4, 96, 8]"});
  expect_error(call(query, zeros({2, 96, 8})), {"lighthouse::select", "key", "[2, 96, 8]"});
  expect_error(call(query, zeros({2, 2, 95, 8})), {"lighthouse::select", "key", "96", "[2, 2, 95, 8]"});
  expect_error(call(query, zeros({3, 2, 96, 8})), {"lighthouse::select", "key", "[3, 2, 96, 8]"});
  expect_error(call(query, zeros({2, 2, 96, 7})), {"lighthouse::select", "key", "8", "[2, 2, 96, 7]"});
  expect_error(call(query, zeros({2, 3, 96, 8})), {"lighthouse::select", "4", "3"});  // K does not divide H
  expect_error(call(query, zeros({2, 8, 96, 8})), {"lighthouse::select", "4", "8"});  // K > H
  expect_error(call(query, zeros({2, 0, 96, 8})), {"lighthouse::select", "0"});
}

TEST_F(Errors, SelectChecksDtypesAndDevices) {
  const auto call = [&](const at::Tensor& q, const at::Tensor& k) {
    return [=] { lighthouse::select(q, k, small_options()); };
  };
  expect_error(call(query, key.to(at::kDouble)), {"lighthouse::select", "key"});
  expect_error(call(query.to(at::kHalf), key.to(at::kHalf)), {"lighthouse::select", "Half"});
  expect_error(call(query.to(at::kInt), key.to(at::kInt)), {"lighthouse::select", "Int"});
  expect_error(call(query.to(at::kComplexFloat), key.to(at::kComplexFloat)), {"lighthouse::select", "Complex"});
  expect_error(call(query, key.to(at::kMeta)), {"meta"});
}

TEST_F(Errors, SelectChecksOptions) {
  const auto call = [&](const std::function<void(SelectionOptions&)>& change) {
    return [this, change] {
      SelectionOptions options = small_options();
      change(options);
      lighthouse::select(query, key, options);
    };
  };
  expect_error(call([](auto& o) { o.top_k = 5; }), {"lighthouse::", "top_k", "even", "5"});
  expect_error(call([](auto& o) { o.top_k = 0; }), {"lighthouse::", "top_k", "0"});
  expect_error(call([](auto& o) { o.top_k = 2, o.num_tiles = 2; }), {"lighthouse::", "2"});  // k < 2 n
  expect_error(call([](auto& o) { o.top_k = 8, o.num_tiles = 3; }),
               {"lighthouse::", "num_tiles", "3"});  // n does not divide k / 2
  expect_error(call([](auto& o) { o.top_k = 14, o.num_tiles = 7; }), {"lighthouse::", "num_tiles", "6", "7"});  // M = 6
  expect_error(call([](auto& o) { o.num_tiles = 0; }), {"lighthouse::", "num_tiles", "0"});
  expect_error(call([](auto& o) { o.pooling_factor = 1; }), {"lighthouse::", "pooling_factor", "1"});
  expect_error(call([](auto& o) { o.num_levels = 0; }), {"lighthouse::", "num_levels", "0"});
  expect_error(call([](auto& o) { o.num_levels = 65; }), {"lighthouse::", "num_levels", "64", "65"});
  expect_error(call([](auto& o) { o.cover_prefix = false, o.causal_selection = true; }),
               {"lighthouse::select", "cover_prefix", "causal_selection"});
}

TEST_F(Errors, SelectChecksScores) {
  const auto call = [&](const at::Tensor& query_scores, const at::Tensor& key_scores) {
    return [=, this] { lighthouse::select(query, key, small_options(), Scores{query_scores, key_scores}); };
  };
  const at::Tensor good = zeros({2, 2, 96});
  expect_error(call(zeros({2, 4, 96}), good), {"lighthouse::select", "score", "[2, 4, 96]"});
  expect_error(call(good, zeros({2, 2, 95})), {"lighthouse::select", "score", "[2, 2, 95]"});
  expect_error(call(good, zeros({2, 96})), {"lighthouse::select", "score", "[2, 96]"});
  expect_error(call(good.to(at::kLong), good), {"lighthouse::select", "score"});
  expect_error(call(good, good.to(at::kMeta)), {"meta"});
  expect_error(call(at::Tensor(), good), {"lighthouse::select", "score"});
  expect_error(call(good, at::Tensor()), {"lighthouse::select", "score"});
}

// ---- gather ----

TEST_F(Errors, GatherChecksItsInputs) {
  const auto call = [&](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    return [=, this] { lighthouse::gather(q, k, v, tree); };
  };
  expect_error(call(zeros({4, 96, 8}), key, key), {"lighthouse::gather", "quer", "[4, 96, 8]"});
  expect_error(call(query, zeros({2, 2, 95, 8}), key), {"lighthouse::gather", "key", "[2, 2, 95, 8]"});
  expect_error(call(query, key, zeros({2, 2, 95, 8})), {"lighthouse::gather", "value", "[2, 2, 95, 8]"});
  expect_error(call(query, key, zeros({2, 1, 96, 8})), {"lighthouse::gather", "value", "[2, 1, 96, 8]"});
  expect_error(call(query, key, key.to(at::kDouble)), {"lighthouse::gather", "value"});
  expect_error(call(query.to(at::kHalf), key.to(at::kHalf), key.to(at::kHalf)), {"lighthouse::gather", "Half"});
  // A tree of other sequences: another length, other heads.
  expect_error(call(zeros({2, 4, 97, 8}), zeros({2, 2, 97, 8}), zeros({2, 2, 97, 8})),
               {"lighthouse::gather", "96", "97"});
  expect_error(call(zeros({3, 4, 96, 8}), zeros({3, 2, 96, 8}), zeros({3, 2, 96, 8})),
               {"lighthouse::gather", "nodes", "3"});
  expect_error(call(zeros({2, 4, 96, 8}), zeros({2, 4, 96, 8}), zeros({2, 4, 96, 8})),
               {"lighthouse::gather", "nodes", "4"});
}

/// Such nodes would lead outside of what is allocated, or leave some of it unwritten.
TEST_F(Errors, TreesOfOtherBudgetsAreRefused) {
  for (const auto& [top_k, num_tiles] : std::vector<std::pair<int64_t, int64_t>>{{8, 1}, {8, 2}, {12, 3}, {12, 2}}) {
    SelectionOptions options = small_options();
    options.top_k = top_k;
    options.num_tiles = num_tiles;
    const Tree other = lighthouse::select(query, key, options);
    ASSERT_NE(other.geometry.retained_length(), 38);
    const Tree mixed{other.nodes, tree.geometry};
    const std::vector<std::string> words{"those of these sizes", "S=38", "another selection"};
    expect_error([&] { lighthouse::gather(query, key, key, mixed); }, words);
    expect_error([&] { lighthouse::scatter(zeros({2, 4, 38, 8}), mixed); }, words);
    expect_error([&] { mixed.entries(); }, words);
    expect_error([&] { mixed.writes(); }, words);
  }
}

TEST_F(Errors, GatherChecksTheTree) {
  const auto call = [&](const at::Tensor& nodes) {
    return [=, this] { lighthouse::gather(query, key, key, Tree{nodes, tree.geometry}); };
  };
  expect_error(call(tree.nodes.slice(2, 1)), {"lighthouse::gather", "nodes"});
  expect_error(call(tree.nodes.to(at::kLong)), {"lighthouse::gather", "nodes", "Long"});
  expect_error(call(tree.nodes[0]), {"lighthouse::gather", "nodes"});
  expect_error(call(at::zeros_like(tree.nodes)), {"lighthouse::gather", "S=38", "ends at entry 1, not 38"});
}

// ---- scatter ----

TEST_F(Errors, ScatterChecksItsInputs) {
  const auto call = [&](const at::Tensor& output) { return [=, this] { lighthouse::scatter(output, tree); }; };
  expect_error(call(zeros({2, 4, 37, 8})), {"lighthouse::scatter", "38", "[2, 4, 37, 8]"});
  expect_error(call(zeros({4, 38, 8})), {"lighthouse::scatter", "[4, 38, 8]"});
  expect_error(call(zeros({2, 3, 38, 8})), {"lighthouse::scatter", "3"});
  expect_error(call(zeros({1, 4, 38, 8})), {"lighthouse::scatter", "1"});
  expect_error(call(zeros({2, 4, 38, 8}, at::kHalf)), {"lighthouse::scatter", "Half"});
  expect_error(
      [&] {
        lighthouse::scatter(zeros({2, 4, 38, 8}), Tree{tree.nodes.slice(2, 1), tree.geometry});
      },
      {"lighthouse::scatter", "nodes"});
}

// ---- attention ----

TEST_F(Errors, AttentionChecksItsInputs) {
  AttentionOptions options;
  static_cast<SelectionOptions&>(options) = small_options();
  const auto call = [&](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    return [=] { lighthouse::attention(q, k, v, options); };
  };
  expect_error(call(zeros({4, 96, 8}), key, key), {"lighthouse::", "quer", "[4, 96, 8]"});
  expect_error(call(query, zeros({2, 2, 95, 8}), key), {"lighthouse::", "key", "[2, 2, 95, 8]"});
  expect_error(call(query, key, zeros({2, 2, 95, 8})), {"lighthouse::", "value", "[2, 2, 95, 8]"});
  expect_error(call(query, zeros({2, 3, 96, 8}), zeros({2, 3, 96, 8})), {"lighthouse::", "4", "3"});
  expect_error(call(query, key, key.to(at::kDouble)), {"lighthouse::", "value"});
  expect_error(call(query.to(at::kHalf), key.to(at::kHalf), key.to(at::kHalf)), {"lighthouse::", "Half"});
}

// A bad option is an error even where attention would run dense.
TEST_F(Errors, AttentionChecksOptionsWhenDense) {
  AttentionOptions options;
  options.top_k = 4096;
  options.cover_prefix = false;
  options.causal_selection = true;
  expect_error([&] { lighthouse::attention(query, key, key, options); },
               {"lighthouse::", "cover_prefix", "causal_selection"});
}

TEST_F(Errors, AttentionChecksTheInnerKernelsOutput) {
  AttentionOptions options;
  static_cast<SelectionOptions&>(options) = small_options();
  options.inner = [](const at::Tensor& q, const at::Tensor&, const at::Tensor&, double) { return q.slice(2, 1); };
  expect_error([&] { lighthouse::attention(query, key, key, options); }, {"lighthouse::", "38", "[2, 4, 37, 8]"});
}

TEST_F(Errors, DenseAttentionChecksItsInputs) {
  expect_error([&] { dense_attention(query, zeros({2, 2, 95, 8}), key); }, {"lighthouse::", "key", "[2, 2, 95, 8]"});
  expect_error([&] { dense_attention(query, key, zeros({2, 2, 95, 8})); }, {"lighthouse::", "value", "[2, 2, 95, 8]"});
}

}  // namespace
}  // namespace lighthouse::test
