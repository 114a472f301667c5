// Selection maps: levels per token against the entries, what the sizes fix, overlaps against simulation.
#include "analysis/selection_map.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "../core/cases.h"
#include "../train/temporary_folder.h"
#include "analysis/selection_overlap.h"
#include "report/heat_matrix.h"
#include "report/heat_strip.h"
#include "report/passages.h"
#include "report/shaded_text.h"

namespace lighthouse::test {
namespace {

using analysis::HeadSelection;

SelectionOptions options_of(const Case& c) {
  SelectionOptions options;
  static_cast<PyramidOptions&>(options) = c.pyramid_options();
  options.cover_prefix = c.options.cover_prefix;
  options.causal_selection = c.options.causal_selection;
  return options;
}

Tree random_tree(const Case& c, Random& random) {
  const auto scores = [&] {
    torch::Tensor values = torch::empty({c.batch, c.key_heads, c.num_tokens});
    float* next = values.mutable_data_ptr<float>();
    for (int64_t row = 0; row < c.batch * c.key_heads; ++row) {
      for (const float score : random_scores(random, c.num_tokens)) *next++ = score;
    }
    return values;
  };
  return select(torch::zeros({c.batch, c.heads, c.num_tokens, 1}),
                torch::zeros({c.batch, c.key_heads, c.num_tokens, 1}), options_of(c), Scores{scores(), scores()});
}

/// The finest of all retained entries whose window holds the token, by asking each.
int64_t finest_by_enumeration(const Geometry& geometry, const torch::Tensor& entries, int64_t token) {
  int64_t finest = geometry.num_levels();
  for (int64_t rank = 0; rank < entries.size(0); ++rank) {
    const Entry entry = geometry.entry_at(entries[rank].item<int64_t>());
    const TokenRange window = geometry.window(entry);
    if (window.begin <= token && token < window.end) finest = std::min(finest, entry.level);
  }
  return finest;
}

TEST(SelectionMap, LevelsEqualEnumeration) {
  Limits limits;
  limits.max_tokens = 90;
  limits.max_levels = 4;
  limits.empty_batch = false;
  for_each_case("SelectionMap.levels", 60, limits, [](const Case& c, Random& random) {
    const Tree tree = random_tree(c, random);
    const int64_t batch = c.batch - 1;
    const auto heads = analysis::head_selections(tree, batch);
    ASSERT_EQ(heads.size(), static_cast<size_t>(c.key_heads));
    for (size_t head = 0; head < heads.size(); ++head) {
      const torch::Tensor entries = tree.entries()[batch][static_cast<int64_t>(head)];
      for (int64_t token = 0; token < c.num_tokens; ++token) {
        ASSERT_EQ(heads[head].finest_level[static_cast<size_t>(token)],
                  finest_by_enumeration(tree.geometry, entries, token))
            << "token " << token;
      }
    }
  });
}

TEST(SelectionMap, TheSizesFixSharesAndCounts) {
  Limits limits;
  limits.empty_batch = false;
  for_each_case("SelectionMap.shares", 200, limits, [](const Case& c, Random& random) {
    if (c.num_tokens == 0) return;
    const Tree tree = random_tree(c, random);
    const auto heads = analysis::head_selections(tree);
    const auto always = analysis::always_kept(tree.geometry, options_of(c));
    for (const auto& head : heads) {
      const auto shares = analysis::level_shares(head, tree.geometry.num_levels());
      EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1.0, 1e-12);
      EXPECT_EQ(shares, analysis::level_shares(heads.front(), tree.geometry.num_levels()));
      EXPECT_EQ(std::accumulate(head.entries.begin(), head.entries.end(), int64_t{0}), tree.geometry.retained_length());
      EXPECT_EQ(head.entries, heads.front().entries);
      EXPECT_EQ(head.writes, heads.front().writes);
      EXPECT_EQ(analysis::jaccard(head, head), 1.0);
      int64_t at_detail = 0;
      for (const auto& span : analysis::detail_spans(head)) at_detail += span.end - span.begin;
      EXPECT_NEAR(static_cast<double>(at_detail) / static_cast<double>(c.num_tokens), shares[0], 1e-12);
      for (size_t i = 0; i < always.size(); ++i) EXPECT_TRUE(!always[i] || head.finest_level[i] == 0) << i;
    }
  });
}

/// A map over one layer of heads with these scores [K, N] for queries and keys alike.
analysis::SelectionMap map_of_scores(const torch::Tensor& scores, const SelectionOptions& options) {
  const auto vectors = torch::zeros({1, scores.size(0), scores.size(1), 1});
  const Tree tree = select(vectors, vectors, options, Scores{scores.unsqueeze(0), scores.unsqueeze(0)});
  return {tree.geometry, options, {{0, analysis::head_selections(tree)}}};
}

SelectionOptions small_options() {
  SelectionOptions options;
  options.num_levels = 3;
  options.pooling_factor = 2;
  options.top_k = 8;
  return options;
}

TEST(SelectionMap, PlantedScoresKeepTheirSpan) {
  torch::Tensor scores = torch::rand({2, 259});
  scores[0].slice(0, 40, 44) = 10;
  scores[1].slice(0, 40, 44) = 10;
  scores[1].slice(0, 100, 104) = 9;
  const auto map = map_of_scores(scores, small_options());
  const auto& heads = map.layers.front().heads;
  for (int64_t token = 40; token < 44; ++token) EXPECT_EQ(heads[0].finest_level[static_cast<size_t>(token)], 0);
  for (int64_t token = 100; token < 104; ++token) EXPECT_EQ(heads[1].finest_level[static_cast<size_t>(token)], 0);
  for (const int64_t tail : {256, 257, 258}) EXPECT_EQ(heads[0].finest_level[static_cast<size_t>(tail)], 0);
  const auto shared = analysis::most_shared_spans(analysis::heads_at_detail(map.layers, 259),
                                                  analysis::always_kept(map.geometry, map.options), 1);
  ASSERT_EQ(shared.size(), 1U);
  EXPECT_EQ(shared[0].most_heads, 2);
  EXPECT_LE(shared[0].tokens.begin, 40);
  EXPECT_GE(shared[0].tokens.end, 44);
}

TEST(SelectionMap, TheStartAndTheTailAreAlwaysKept) {
  const auto kept = [](int64_t tokens, const SelectionOptions& options) {
    std::vector<int64_t> found;
    const auto always = analysis::always_kept(Geometry(tokens, options), options);
    for (size_t i = 0; i < always.size(); ++i) {
      if (always[i]) found.push_back(static_cast<int64_t>(i));
    }
    return found;
  };
  SelectionOptions options = small_options();  // windows of 4 tokens, in pairs of 2
  EXPECT_EQ(kept(259, options), (std::vector<int64_t>{0, 1, 256, 257, 258}));
  EXPECT_EQ(kept(3, options), (std::vector<int64_t>{0, 1, 2})) << "no window at all: a tail";
  options.cover_prefix = false;
  EXPECT_EQ(kept(259, options), (std::vector<int64_t>{256, 257, 258}));
  options.num_levels = 1;
  EXPECT_EQ(kept(3, options), (std::vector<int64_t>{0, 1, 2}));
}

TEST(SelectionMap, FinenessIsOneAtTokensAndZeroAtTheCoarsest) {
  analysis::HeadSelection head;
  head.finest_level = {0, 1, 2, 3, 0};
  EXPECT_EQ(analysis::fineness(head, 5), (std::vector<double>{1, 0.75, 0.5, 0.25, 1}));
  EXPECT_EQ(analysis::level_shares(head, 4), (std::vector<double>{0.4, 0.2, 0.2, 0.2}));
  head.finest_level = {0, 0};
  EXPECT_EQ(analysis::fineness(head, 1), (std::vector<double>{1, 1}));
  head.finest_level = {0, 1, 0, 0};
  const auto spans = analysis::detail_spans(head);
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(spans[0], (TokenRange{0, 1}));
  EXPECT_EQ(spans[1], (TokenRange{2, 4}));
}

TEST(SelectionMap, SharedSpansWidenToNeighbours) {
  //                                  0  1  2  3  4  5  6  7  8  9 10 11
  const std::vector<int64_t> heads = {6, 6, 2, 3, 5, 5, 4, 1, 0, 5, 0, 1};
  std::vector<bool> always(12, false);
  always[0] = always[1] = true;
  const auto spans = analysis::most_shared_spans(heads, always, 10);
  const auto at = [&](size_t i) { return spans[i].tokens; };
  ASSERT_EQ(spans.size(), 5U);
  EXPECT_EQ(at(0), (TokenRange{3, 7}));
  EXPECT_EQ(spans[0].fewest_heads, 3);
  EXPECT_EQ(spans[0].most_heads, 5);
  EXPECT_EQ(at(1), (TokenRange{9, 10}));
  EXPECT_EQ(at(2), (TokenRange{2, 3}));
  EXPECT_EQ(at(3), (TokenRange{7, 8}));
  EXPECT_EQ(at(4), (TokenRange{11, 12}));
  EXPECT_EQ(analysis::most_shared_spans(heads, always, 2).size(), 2U);
}

TEST(SelectionOverlap, TheExpectedValueIsTheMeanOfRandomChoices) {
  Random random(seed());
  for (const auto& [choices, a, b, shared] : {std::array<int64_t, 4>{20, 5, 5, 0}, {30, 10, 4, 3}, {12, 9, 8, 1}}) {
    std::vector<int64_t> items(static_cast<size_t>(choices));
    std::iota(items.begin(), items.end(), 0);
    constexpr int kTrials = 20'000;
    double sum = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
      // Which a things the first takes does not matter; the second takes b of a shuffle.
      for (size_t i = items.size() - 1; i > 0; --i) {
        std::swap(items[i], items[static_cast<size_t>(random.integer(0, static_cast<int64_t>(i)))]);
      }
      const auto both =
          std::count_if(items.begin(), items.begin() + b, [first = a](int64_t item) { return item < first; });
      sum += static_cast<double>(shared + both) / static_cast<double>(shared + a + b - both);
    }
    // Indices lie in [0, 1]: the mean of the trials is within 4 standard errors of at most 0.5 / sqrt(trials).
    EXPECT_NEAR(analysis::expected_jaccard(choices, a, b, static_cast<double>(shared)), sum / kTrials,
                4 * 0.5 / std::sqrt(kTrials));
  }
  EXPECT_EQ(analysis::expected_jaccard(7, 0, 0, 0), 1);
  EXPECT_NEAR(analysis::expected_jaccard(7, 7, 7, 2), 1, 1e-12);
  EXPECT_EQ(analysis::expected_jaccard(7, 3, 0, 0), 0);
}

TEST(SelectionOverlap, UnrelatedHeadsOverlapByChance) {
  torch::manual_seed(static_cast<uint64_t>(seed()));
  for (const int64_t num_levels : {2, 3}) {
    SelectionOptions options = small_options();
    options.num_levels = num_levels;
    options.top_k = 100;
    options.num_tiles = 1;
    const auto map = map_of_scores(torch::rand({24, 2003}), options);
    const auto overlap = analysis::overlap_of_heads(map.layers.front());
    const double expected = analysis::expected_jaccard(map);
    EXPECT_NEAR(overlap.mean, expected, 0.1 * expected) << num_levels << " levels";
    EXPECT_LT(overlap.min, overlap.mean);
    EXPECT_GT(overlap.max, overlap.mean);
    EXPECT_EQ(overlap.jaccard[3][3], 1.0);
    EXPECT_NEAR(analysis::overlap_of_layers(map)[0][0], overlap.mean, 1e-12);
  }
}

model::ModelConfig small_model() {
  model::ModelConfig config;
  config.hidden_size = 32;
  config.intermediate_size = 48;
  config.num_hidden_layers = 4;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.full_attention_layers = {0, 2};
  return config;
}

TEST(SelectionMap, ObservesTheLayersThatAreAskedFor) {
  model::Decoder decoder(small_model());
  AttentionOptions options;
  static_cast<SelectionOptions&>(options) = small_options();
  const auto tokens = torch::randint(0, 256, {130}, torch::kInt64);
  EXPECT_EQ(analysis::lighthouse_layers(small_model()), (std::vector<int64_t>{1, 3}));
  const auto map = analysis::map_selection(decoder, tokens, options, {1, 3});
  ASSERT_EQ(map.layers.size(), 2U);
  EXPECT_EQ(map.layers[1].layer, 3);
  EXPECT_EQ(map.layers[1].heads.size(), 2U);
  const auto last = analysis::map_selection(decoder, tokens, options, {3});
  ASSERT_EQ(last.layers.size(), 1U);
  EXPECT_EQ(last.layers[0].heads[1].finest_level, map.layers[1].heads[1].finest_level);
  EXPECT_EQ(map.layers.size(), 2U) << "a later forward must not reach an earlier map";
  expect_error([&] { analysis::map_selection(decoder, tokens, options, {2}); }, {"1, 3", "got 2", "always dense"});
  expect_error([&] { analysis::map_selection(decoder, tokens, options, {4}); }, {"1, 3", "got 4", "layers 0 to 3"});
  expect_error([&] { analysis::map_selection(decoder, tokens.slice(0, 0, 3), options, {1}); }, {"4 tokens", "got 3"});
}

TEST(Report, StripsOfText) {
  EXPECT_EQ(report::bin_means({1, 0, 0.5}, 5), (std::vector<double>{1, 0, 0.5}));
  EXPECT_EQ(report::bin_means({1, 0, 0, 0, 1}, 2), (std::vector<double>{0.5, 1.0 / 3}));
  EXPECT_EQ(report::to_text_strip({0, 0.5, 1}, 10, true), " ▄█");
  EXPECT_EQ(report::to_text_strip({0, 1}, 10, false), " #");
}

TEST(Report, ShadedTextKeepsLinesAndCharacters) {
  EXPECT_EQ(report::to_shaded_html("\na<é\x01", {0, 0, 1, 0, 0.5, 0}),
            "<pre class='shaded'>\n\na<span class='v24'>&lt;</span><span class='v12'>é</span>\\x01</pre>\n");
  EXPECT_EQ(report::escape_bytes("a\n\t\\é\xC2\x85\xFF", true), "a\\n\\t\\\\é\\xc2\\x85\\xff");
  EXPECT_EQ(report::escape_bytes("é", false), "\\xc3\\xa9");
}

TEST(Report, PassagesAreEscaped) {
  const std::string html = report::to_html("'", {"n"}, {{"<a", "b&", "c>", {"<1"}}});
  EXPECT_NE(html.find("<th scope='row'>&lt;1</th><td><code>&lt;a<mark>b&amp;</mark>c&gt;</code></td>"),
            std::string::npos)
      << html;
}

TEST(Report, StripsAndMatricesDrawWhatIsFinite) {
  report::HeatStrips strips;
  strips.title = "strips";
  strips.x_label = "a < b";
  strips.groups = {{"layer", {{"head", {0, NAN, 1}}, {"empty", {}}}}};
  const std::string svg = report::to_figure(strips) + report::to_html({{"m", "", {"0", "1"}, {{NAN, 0.5}, {1, 0}}}});
  const std::string wide = report::to_html({{"m", "", {"0%"}, {{0.25, NAN, 1}}, {"1K", "2K", "<4K"}}});
  EXPECT_EQ(svg.find("aria-label=''"), std::string::npos);
  EXPECT_NE(wide.find("&lt;4K"), std::string::npos);
  EXPECT_NE(wide.find("0.25"), std::string::npos);
  EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
  EXPECT_NE(svg.find("0.50"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

}  // namespace
}  // namespace lighthouse::test
