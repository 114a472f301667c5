// Selection against the reference: entries, order, trees per head, which entries write (docs/ALGORITHM.md 3, 4, 4b, 5).
#include <ATen/Parallel.h>

#include <cmath>
#include <set>

#include "tensors.h"

namespace lighthouse::test {
namespace {

/// Vectors of zeros: selection by given scores must not look at them.
Tree select_by(const Case& c, const at::Tensor& query_scores, const at::Tensor& key_scores) {
  const at::Tensor query = at::zeros({c.batch, c.heads, c.num_tokens, c.head_dim}, at::kFloat);
  const at::Tensor key = at::zeros({c.batch, c.key_heads, c.num_tokens, c.head_dim}, at::kFloat);
  return select(query, key, selection_options(c), Scores{query_scores, key_scores});
}

/// Section 3 on tensors [B, heads, N, D]: [B, K, N].
at::Tensor reference_norm_scores(const Case& c, const at::Tensor& x) {
  const reference::Array array = to_array(x);
  const int64_t group = array.heads / c.key_heads;
  at::Tensor scores = at::empty({c.batch, c.key_heads, c.num_tokens}, at::kFloat);
  float* next = scores.mutable_data_ptr<float>();
  for (int64_t b = 0; b < c.batch; ++b) {
    for (int64_t head = 0; head < c.key_heads; ++head) {
      std::vector<std::vector<std::vector<double>>> vectors;
      for (int64_t member = 0; member < group; ++member) {
        vectors.emplace_back();
        for (int64_t token = 0; token < c.num_tokens; ++token) {
          const auto begin =
              array.values.begin() + ((b * array.heads + head * group + member) * c.num_tokens + token) * c.head_dim;
          vectors.back().emplace_back(begin, begin + c.head_dim);
        }
      }
      for (const float score : reference::norm_scores(vectors, c.num_tokens)) *next++ = score;
    }
  }
  return scores;
}

void expect_same_tree(const Case& c, const Tree& tree, const std::vector<reference::Selection>& selections) {
  const Geometry geometry = c.geometry();
  EXPECT_EQ(tree.geometry.to_string(), geometry.to_string());
  EXPECT_EQ(tree.nodes.scalar_type(), at::kInt);
  EXPECT_EQ(tree.nodes.sizes(), (at::IntArrayRef{c.batch, c.key_heads, geometry.num_scored_windows()}));
  EXPECT_FALSE(tree.nodes.requires_grad());
  EXPECT_TRUE(bit_equal(tree.entries(), reference_entries(c, selections))) << "entries";
  EXPECT_TRUE(bit_equal(tree.writes(), reference_writes(c, selections))) << "writes";
}

TEST(Select, GivenScoresEqualTheReference) {
  for_each_case("Select.scores", 500, {}, [](const Case& c, Random& random) {
    const at::Tensor query_scores = score_tensor(random, c);
    const at::Tensor key_scores = score_tensor(random, c);
    expect_same_tree(c, select_by(c, query_scores, key_scores), reference_selections(c, query_scores, key_scores));
  });
}

TEST(Select, NormsEqualTheReference) {
  for_each_case("Select.norms", 250, {.max_tokens = 400}, [](const Case& c, Random& random) {
    const at::ScalarType dtype = random.pick<at::ScalarType>({at::kFloat, at::kBFloat16, at::kDouble});
    at::Tensor query = grid_tensor(random, {c.batch, c.heads, c.num_tokens, c.head_dim}, dtype);
    at::Tensor key = grid_tensor(random, {c.batch, c.key_heads, c.num_tokens, c.head_dim}, dtype);
    if (random.chance(0.3)) {  // some vectors hold a NaN, an infinity, or both
      for (at::Tensor* x : {&query, &key}) {
        for (const double special : {std::nan(""), std::numeric_limits<double>::infinity(), -HUGE_VAL}) {
          x->masked_fill_(random_tensor(random, x->sizes(), at::kDouble).gt(2.3), special);
        }
      }
    }
    const at::Tensor query_scores = reference_norm_scores(c, query);
    const at::Tensor key_scores = reference_norm_scores(c, key);
    const Tree tree = select(with_layout(query, random.integer(0, kLayouts - 1)),
                             with_layout(key, random.integer(0, kLayouts - 1)), selection_options(c));
    expect_same_tree(c, tree, reference_selections(c, query_scores, key_scores));
  });
}

// Section 3: the norm is fp32 in every dtype. 1 + 2^-30 and 1 are a tie, broken by the index.
TEST(Select, NormsAreComparedAsFloat32) {
  Case c;
  c.num_tokens = 64;
  c.options = {.num_levels = 2, .pooling_factor = 2, .top_k = 2, .num_tiles = 1, .cover_prefix = false};
  at::Tensor query = at::ones({1, 1, 64, 1}, at::kDouble);
  query[0][0][41][0] = 1 + std::ldexp(1.0, -30);
  const Tree tree = select(query, query, selection_options(c));
  const at::Tensor tied = at::ones({1, 1, 64}, at::kFloat);
  expect_same_tree(c, tree, reference_selections(c, tied, tied));
}

TEST(Select, ScoresOfAnyFloatingTypeAndLayout) {
  for_each_case("Select.score types", 100, {}, [](const Case& c, Random& random) {
    const at::ScalarType dtype = random.pick<at::ScalarType>({at::kDouble, at::kBFloat16, at::kHalf, at::kFloat});
    const auto awkward = [&](const at::Tensor& scores) {
      switch (random.integer(0, 3)) {
        case 0: return scores.transpose(1, 2).contiguous().transpose(1, 2);
        case 1: return at::stack({scores, at::full_like(scores, NAN)}, -1).select(-1, 0);
        case 2: return c.batch > 0 ? scores.narrow(0, 0, 1).expand_as(scores) : scores;
        default: return scores;
      }
    };
    const at::Tensor query_scores = awkward(score_tensor(random, c).to(dtype));
    const at::Tensor key_scores = awkward(score_tensor(random, c).to(dtype));
    expect_same_tree(c, select_by(c, query_scores, key_scores), reference_selections(c, query_scores, key_scores));
  });
}

// float64 scores that differ only beyond float32 tie, and the lower index wins.
TEST(Select, DoubleScoresAreRoundedFirst) {
  Case c;
  c.num_tokens = 32;
  c.options = {.num_levels = 2, .pooling_factor = 2, .top_k = 2, .num_tiles = 1, .cover_prefix = false};
  const at::Tensor scores = at::arange(32, at::kDouble).mul(std::ldexp(1.0, -40)).add(1).view({1, 1, 32});
  const at::Tensor tied = at::ones({1, 1, 32}, at::kFloat);
  expect_same_tree(c, select_by(c, scores, scores), reference_selections(c, tied, tied));
}

/// The flat indices of one head that write, as a set.
std::set<int32_t> writers(const Tree& tree, int64_t b, int64_t head) {
  const at::Tensor indices = tree.entries()[b][head].masked_select(tree.writes()[b][head]);
  return {indices.const_data_ptr<int32_t>(), indices.const_data_ptr<int32_t>() + indices.numel()};
}

// Sections 4 and 4b: S and the number of writers depend on no data; which entries write does not depend on s_k.
TEST(Select, SizesAreStaticAndWritersIgnoreKeys) {
  for_each_case("Select.static", 150, {}, [](const Case& c, Random& random) {
    const at::Tensor query_scores = score_tensor(random, c);
    const Tree first = select_by(c, query_scores, score_tensor(random, c));
    const Tree other_keys = select_by(c, query_scores, score_tensor(random, c));
    const Tree other = select_by(c, score_tensor(random, c), score_tensor(random, c));
    ASSERT_EQ(first.entries().size(2), c.geometry().retained_length());
    ASSERT_EQ(other.entries().size(2), c.geometry().retained_length());

    const at::Tensor counts = at::cat({first.writes().sum(-1), other_keys.writes().sum(-1), other.writes().sum(-1)}, 0);
    if (counts.numel() > 0) {
      ASSERT_TRUE(counts.eq(counts.min()).all().item<bool>()) << counts;
      if (!c.options.causal_selection) {
        ASSERT_EQ(counts.min().item<int64_t>(), c.geometry().retained_length());
      }
    }
    for (int64_t b = 0; c.options.causal_selection && b < c.batch; ++b) {
      for (int64_t head = 0; head < c.key_heads; ++head)
        ASSERT_EQ(writers(first, b, head), writers(other_keys, b, head));
    }
  });
}

// What reaches a tile's tree: no token after the tile; under causal selection, for the queries, not even its last
// level-1 window. So the trees of tiles 0..t, which are a prefix of the gathered sequence, do not change.
TEST(Select, LaterScoresLeaveEarlierTilesAlone) {
  for_each_case("Select.later scores", 150, {.empty_batch = false}, [](const Case& c, Random& random) {
    const Geometry geometry = c.geometry();
    if (c.options.num_levels == 1 || geometry.num_coarsest_windows() == 0) return;
    const int64_t tile = random.integer(0, geometry.num_tiles() - 1);
    const int64_t end = geometry.tile_begin(tile + 1) * geometry.coarsest_window_length();
    const int64_t query_end = c.options.causal_selection ? end - c.options.pooling_factor : end;

    const auto changed_from = [&](const at::Tensor& scores, int64_t begin) {
      return at::cat({scores.slice(2, 0, begin), score_tensor(random, c).slice(2, begin)}, 2);
    };
    const at::Tensor query_scores = score_tensor(random, c);
    const at::Tensor key_scores = score_tensor(random, c);
    const Tree before = select_by(c, query_scores, key_scores);
    const Tree after = select_by(c, changed_from(query_scores, query_end), changed_from(key_scores, end));
    const int64_t rank = geometry.tile_rank(tile + 1);
    ASSERT_TRUE(bit_equal(before.entries().slice(2, 0, rank), after.entries().slice(2, 0, rank)));
    ASSERT_TRUE(bit_equal(before.writes().slice(2, 0, rank), after.writes().slice(2, 0, rank)));
  });
}

// Section 4b: the window before, across tile borders. All the query score there is lies in the last window of tile 0,
// so the first window of tile 1 wins its tile's query half.
TEST(Select, CausalQueryScoreCrossesTileBorders) {
  Case c;
  c.num_tokens = 64;
  c.options = {
      .num_levels = 2, .pooling_factor = 4, .top_k = 4, .num_tiles = 2, .cover_prefix = true, .causal_selection = true};
  at::Tensor query_scores = at::zeros({1, 1, 64}, at::kFloat);
  query_scores[0][0][31] = 1;  // window 7, the last of tile 0
  at::Tensor key_scores = at::zeros({1, 1, 64}, at::kFloat);
  key_scores[0][0][63] = 1;  // window 15
  const Tree tree = select_by(c, query_scores, key_scores);
  expect_same_tree(c, tree, reference_selections(c, query_scores, key_scores));
  const std::set<int32_t> written = writers(tree, 0, 0);
  for (int32_t token = 0; token < 64; ++token) {
    // Tile 0 expands window 0 by rule, tile 1 window 8 for the score of window 7.
    EXPECT_EQ(written.contains(token), token < 4 || (token >= 32 && token < 36)) << "token " << token;
  }
}

TEST(Select, BatchRowsAndHeadsAreIndependent) {
  for_each_case("Select.rows", 60, {.empty_batch = false}, [](const Case& c, Random& random) {
    const at::ScalarType dtype = random.pick<at::ScalarType>({at::kFloat, at::kBFloat16, at::kDouble});
    const Inputs inputs = random_inputs(random, c, dtype);
    const Tree all = select(inputs.query, inputs.key, selection_options(c));
    const int64_t b = random.integer(0, c.batch - 1);
    const int64_t head = random.integer(0, c.key_heads - 1);
    const int64_t group = c.heads / c.key_heads;
    const Tree one = select(inputs.query.narrow(0, b, 1).narrow(1, head * group, group),
                            inputs.key.narrow(0, b, 1).narrow(1, head, 1), selection_options(c));
    ASSERT_TRUE(bit_equal(all.nodes.narrow(0, b, 1).narrow(1, head, 1), one.nodes));
    ASSERT_TRUE(bit_equal(all.entries().narrow(0, b, 1).narrow(1, head, 1), one.entries()));
  });
}

TEST(Select, LayoutsThreadsAndRunsGiveTheSameBits) {
  const int threads = at::get_num_threads();
  for_each_case("Select.bits", 60, {.max_tokens = 2500}, [](const Case& c, Random& random) {
    const at::ScalarType dtype = random.pick<at::ScalarType>({at::kFloat, at::kBFloat16, at::kDouble});
    const Inputs inputs = random_inputs(random, c, dtype);
    at::set_num_threads(1);
    const Tree tree = select(inputs.query, inputs.key, selection_options(c));
    for (const int count : {2, 3, 2}) {
      at::set_num_threads(count);
      poison({tree.nodes.sizes()}, at::kFloat);
      const Tree again = select(with_layout(inputs.query, random.integer(0, kLayouts - 1)),
                                with_layout(inputs.key, random.integer(0, kLayouts - 1)), selection_options(c));
      ASSERT_TRUE(bit_equal(tree.nodes, again.nodes)) << count << " threads";
      ASSERT_TRUE(bit_equal(tree.entries(), again.entries())) << count << " threads";
      ASSERT_TRUE(bit_equal(tree.writes(), again.writes())) << count << " threads";
    }
  });
  at::set_num_threads(threads);
}

// A head that is the same for all (stride 0) is as good as its copies.
TEST(Select, ExpandedInputs) {
  for_each_case("Select.expanded", 30, {}, [](const Case& c, Random& random) {
    const at::Tensor query = grid_tensor(random, {1, 1, c.num_tokens, c.head_dim}, at::kFloat)
                                 .expand({c.batch, c.heads, c.num_tokens, c.head_dim});
    const at::Tensor key = grid_tensor(random, {c.batch, 1, c.num_tokens, 1}, at::kFloat)
                               .expand({c.batch, c.key_heads, c.num_tokens, c.head_dim});
    const Tree tree = select(query, key, selection_options(c));
    ASSERT_TRUE(bit_equal(tree.nodes, select(query.contiguous(), key.contiguous(), selection_options(c)).nodes));
  });
}

TEST(Select, TakesNoGradient) {
  Random random(seed());
  const at::Tensor query = random_tensor(random, {1, 2, 100, 8}, at::kFloat).requires_grad_();
  const at::Tensor key = random_tensor(random, {1, 1, 100, 8}, at::kFloat).requires_grad_();
  SelectionOptions options;
  options.top_k = 4;
  const Tree tree = select(query, key, options);
  EXPECT_FALSE(tree.nodes.requires_grad());
  EXPECT_FALSE(tree.entries().requires_grad());
}

}  // namespace
}  // namespace lighthouse::test
