// The closed forms of lighthouse::Geometry against enumeration, and the reference against itself. No torch here.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "cases.h"

namespace lighthouse::test {
namespace {

using reference::Pyramid;
using reference::Selection;
using reference::Window;

std::vector<int64_t> enumerate(TokenRange range) {
  std::vector<int64_t> tokens;
  for (int64_t token = range.begin; token < range.end; ++token) tokens.push_back(token);
  return tokens;
}

Entry entry(Window window) { return {window.level, window.index}; }

PyramidOptions options(int64_t num_levels, int64_t pooling_factor, int64_t top_k,
                       std::optional<int64_t> num_tiles = {}) {
  PyramidOptions result;
  result.num_levels = num_levels;
  result.pooling_factor = pooling_factor;
  result.top_k = top_k;
  result.num_tiles = num_tiles;
  return result;
}

// ---- Geometry against enumeration ----

TEST(Geometry, LevelsWindowsAndFlatIndices) {
  for_each_case("Geometry.levels", 200, {}, [](const Case& c, Random&) {
    const Geometry geometry = c.geometry();
    const Pyramid pyramid = c.pyramid();
    ASSERT_EQ(geometry.num_tokens(), c.num_tokens);
    ASSERT_EQ(geometry.num_levels(), c.options.num_levels);
    ASSERT_EQ(geometry.num_coarsest_windows(), pyramid.num_coarsest);
    ASSERT_EQ(geometry.num_tail_tokens(), static_cast<int64_t>(pyramid.tail_tokens.size()));
    if (!pyramid.tail_tokens.empty()) {
      ASSERT_EQ(geometry.tail_begin(), pyramid.tail_tokens.front());
    }
    ASSERT_EQ(geometry.num_entries(), static_cast<int64_t>(pyramid.windows.size()));

    std::vector<int64_t> windows_of_level(static_cast<size_t>(c.options.num_levels));
    int64_t flat = 0;
    for (const Window window : pyramid.windows) {
      if (windows_of_level[static_cast<size_t>(window.level)]++ == 0) {
        ASSERT_EQ(geometry.level_offset(window.level), flat);
        ASSERT_EQ(geometry.window_length(window.level), pyramid.length(window.level));
      }
      ASSERT_EQ(geometry.flat_index(entry(window)), flat);
      ASSERT_EQ(geometry.entry_at(flat), entry(window));
      ASSERT_EQ(enumerate(geometry.window(entry(window))), pyramid.tokens(window));
      ++flat;
    }
    for (int64_t level = 0; level < c.options.num_levels; ++level) {
      ASSERT_EQ(geometry.num_windows(level), windows_of_level[static_cast<size_t>(level)]) << "level " << level;
    }
    ASSERT_EQ(geometry.num_scored_windows(), flat - c.num_tokens);
    ASSERT_THROW(geometry.entry_at(-1), std::out_of_range);
    ASSERT_THROW(geometry.entry_at(flat), std::out_of_range);
  });
}

TEST(Geometry, WriteRangesAndTheirInverse) {
  for_each_case("Geometry.writers", 150, {}, [](const Case& c, Random&) {
    const Geometry geometry = c.geometry();
    const Pyramid pyramid = c.pyramid();
    std::map<std::pair<int64_t, int64_t>, int64_t> writer;  // (level, token) -> window
    for (const Window window : pyramid.windows) {
      const std::vector<int64_t> tokens = pyramid.write_tokens(window);
      ASSERT_EQ(enumerate(geometry.write_range(entry(window))), tokens)
          << "level " << window.level << " window " << window.index;
      for (const int64_t token : tokens) {
        // Section 6: per level at most one entry writes to a token.
        ASSERT_TRUE(writer.emplace(std::pair{window.level, token}, window.index).second);
      }
    }
    for (int64_t level = 0; level < c.options.num_levels; ++level) {
      for (int64_t token = 0; token < c.num_tokens; ++token) {
        const auto found = writer.find({level, token});
        ASSERT_EQ(geometry.writer(level, token), found == writer.end() ? -1 : found->second)
            << "level " << level << " token " << token;
      }
    }
  });
}

TEST(Geometry, TilesAndRetainedLength) {
  for_each_case("Geometry.tiles", 250, {}, [](const Case& c, Random& random) {
    const Geometry geometry = c.geometry();
    const Pyramid pyramid = c.pyramid();
    const Selection selection =
        reference::select(pyramid, random_scores(random, c.num_tokens), random_scores(random, c.num_tokens));
    const auto length = static_cast<int64_t>(selection.order.size());
    ASSERT_EQ(geometry.retained_length(), length);
    ASSERT_EQ(retained_length(c.num_tokens, c.pyramid_options()), length);
    ASSERT_EQ(geometry.is_dense(), length >= c.num_tokens);
    if (c.options.num_levels == 1) return;  // no tiles: all is kept

    ASSERT_EQ(geometry.num_tiles(), pyramid.num_tiles);
    ASSERT_EQ(geometry.tile_budget(), pyramid.budget);
    ASSERT_EQ(geometry.top_k(), pyramid.top_k);
    int64_t begin = 0;
    for (int64_t tile = 0; tile < pyramid.num_tiles; ++tile) {
      const auto& windows = pyramid.tiles[static_cast<size_t>(tile)];
      const auto coarsest = static_cast<int64_t>(windows.size());
      ASSERT_EQ(geometry.tile_begin(tile), begin);
      const auto in_tile = [&](Window window) {
        const int64_t root = pyramid.tokens(window).front() / pyramid.length(pyramid.coarsest_level());
        return root >= begin && root < begin + coarsest;
      };
      for (int64_t level = 1; level < c.options.num_levels; ++level) {
        const auto expanded =
            std::count_if(selection.expanded.begin(), selection.expanded.end(),
                          [&](const auto& item) { return item.first.level == level && in_tile(item.first); });
        ASSERT_EQ(geometry.tile_expanded(coarsest, level), expanded) << "tile " << tile << " level " << level;
      }
      const auto first = std::find_if(selection.order.begin(), selection.order.end(), in_tile);
      ASSERT_EQ(geometry.tile_rank(tile), coarsest == 0 ? 0 : first - selection.order.begin());
      ASSERT_EQ(geometry.tile_retained(coarsest),
                std::count_if(selection.order.begin(), selection.order.end(), in_tile));
      begin += coarsest;
    }
    ASSERT_EQ(geometry.tile_begin(pyramid.num_tiles), pyramid.num_coarsest);
    ASSERT_EQ(geometry.tile_rank(pyramid.num_tiles), length - geometry.num_tail_tokens());
  });
}

// ---- Geometry: values to know ----

TEST(Geometry, TheUsualSizes) {
  // S = N / p^(L-1) + (L-1) p k.
  EXPECT_EQ(retained_length(98304, options(3, 4, 1536)), 98304 / 16 + 2 * 4 * 1536);
  EXPECT_EQ(retained_length(98304, options(3, 2, 6144)), 98304 / 4 + 2 * 2 * 6144);
  EXPECT_EQ(retained_length(1 << 20, options(4, 4, 4096)), (1 << 20) / 64 + 3 * 4 * 4096);
  EXPECT_EQ(Geometry(98304, options(3, 4, 1536)).num_tiles(), 12);
  EXPECT_EQ(Geometry(98304, options(3, 4, 1536)).tile_budget(), 128);
}

TEST(Geometry, TheDefaultNumberOfTiles) {
  EXPECT_EQ(Geometry(1 << 20, options(3, 4, 2)).num_tiles(), 1);
  EXPECT_EQ(Geometry(1 << 20, options(3, 4, 254)).num_tiles(), 1);
  EXPECT_EQ(Geometry(1 << 20, options(3, 4, 256)).num_tiles(), 2);
  EXPECT_EQ(Geometry(1 << 20, options(3, 4, 2 * 199)).num_tiles(), 1);  // k / 2 is prime
  EXPECT_EQ(Geometry(1 << 20, options(3, 4, 2 * 600)).num_tiles(), 8);  // of 9, 8, ...: 8 divides 600
  EXPECT_EQ(Geometry(16 * 3, options(3, 4, 1536)).num_tiles(), 3);      // no more than M
  EXPECT_EQ(Geometry(15, options(3, 4, 1536)).num_tiles(), 1);          // M = 0
}

TEST(Geometry, TheDefaultBudget) {
  const auto top_k = [](int64_t num_tokens) { return Geometry(num_tokens, {}).top_k(); };
  EXPECT_EQ(top_k(0), 2);
  EXPECT_EQ(top_k(1), 2);
  EXPECT_EQ(top_k(255), 2);
  EXPECT_EQ(top_k(256), 4);
  EXPECT_EQ(top_k(2048), 32);
  EXPECT_EQ(top_k(4096), 64);
  EXPECT_EQ(top_k(16383), 254);
  EXPECT_EQ(top_k(16384), 256);
  EXPECT_EQ(top_k(98304), 1536);
  EXPECT_EQ(top_k(1 << 20), (1 << 20) / 64);
  EXPECT_EQ(Geometry(98304, {}).num_tiles(), 12);
  EXPECT_EQ(Geometry(98304, {}).to_string(), "N=98304 L=3 p=4 k=1536 n=12: F=16 M=6144 T=0, S=18432 (18.75% of N)");
  EXPECT_EQ(Geometry(100, {.num_levels = 1}).retained_length(), 100);
  // By the tiles that are asked for: an even number for each.
  EXPECT_EQ(Geometry(4096, {.num_tiles = 3}).top_k(), 2 * 3 * 10);
  EXPECT_EQ(Geometry(4096, {.num_tiles = 64}).top_k(), 2 * 64);
  EXPECT_EQ(Geometry(4096, {.num_tiles = 3}).tile_budget(), 20);
}

TEST(Geometry, TheDefaultBudgetIsAbout64thOfTheTokensForAnyLength) {
  for_each_random("Geometry.default_top_k", 3000, [](Random& random) {
    const int64_t tiles = int64_t{1} << random.integer(0, 49);
    // At, one below and one above where the number of tiles changes, and anywhere.
    const int64_t n =
        random.chance(0.5) ? 8192 * random.integer(1, tiles) + random.integer(-1, 1) : random.integer(0, 8192 * tiles);
    const Geometry geometry(n, {});
    const int64_t k = geometry.top_k();
    const int64_t n0 = std::max<int64_t>(1, n / 8192);
    ASSERT_EQ(k, 2 * n0 * std::max<int64_t>(1, n / (128 * n0))) << "N=" << n;
    ASSERT_EQ(geometry.num_tiles(), n0) << "N=" << n;
    ASSERT_LE(k, std::max<int64_t>(2, n / 64)) << "N=" << n;
    if (n >= 128) {
      ASSERT_GT(k, n / 64 - 2 * n0 - 2) << "N=" << n;
    }
    ASSERT_EQ(geometry.is_dense(), n < 16) << geometry;
    // Naming the number changes nothing, nor does naming the tiles.
    const Geometry named(n, {.top_k = k});
    ASSERT_EQ(named.to_string(), geometry.to_string());
    ASSERT_EQ(Geometry(n, {.num_tiles = geometry.num_tiles()}).to_string(), geometry.to_string());
  });
}

TEST(Geometry, DefaultTilesAreLimitedByTheWindows) {
  const PyramidOptions large{.num_levels = 2, .pooling_factor = 10000};
  const Geometry few(50000, large);  // M = 5, below N / 8192 = 6
  EXPECT_EQ(few.top_k(), 2 * 6 * (50000 / (128 * 6)));
  EXPECT_EQ(few.num_tiles(), 5);
  const Geometry none(9999, large);
  EXPECT_EQ(none.num_tiles(), 1);
  EXPECT_TRUE(none.is_dense());
}

TEST(Geometry, SizesBeyondThirtyTwoBits) {
  const int64_t num_tokens = int64_t{1} << 40;
  const Geometry geometry(num_tokens, options(5, 4, 4096));
  EXPECT_EQ(geometry.retained_length(), num_tokens / 256 + 4 * 4 * 4096);
  EXPECT_EQ(geometry.level_offset(2), num_tokens + num_tokens / 4);
  const Entry last{4, num_tokens / 256 - 1};
  EXPECT_EQ(geometry.flat_index(last), geometry.num_entries() - 1);
  EXPECT_EQ(geometry.entry_at(geometry.num_entries() - 1), last);
  EXPECT_EQ(geometry.window(last), (TokenRange{num_tokens - 256, num_tokens}));
  EXPECT_EQ(geometry.write_range(last), (TokenRange{num_tokens - 1, num_tokens}));
  EXPECT_EQ(geometry.writer(4, num_tokens - 1), last.window);
  EXPECT_EQ(geometry.writer(4, 254), -1);
}

TEST(Geometry, WindowsLongerThanAnyInteger) {
  for (const int64_t pooling_factor : {2, 3, 7, 1000}) {
    const Geometry geometry(1000, options(64, pooling_factor, 4));
    EXPECT_EQ(geometry.num_coarsest_windows(), 0);
    EXPECT_EQ(geometry.coarsest_window_length(), std::numeric_limits<int64_t>::max());
    EXPECT_EQ(geometry.num_tail_tokens(), 1000);
    EXPECT_EQ(geometry.tail_begin(), 0);
    EXPECT_EQ(geometry.retained_length(), 1000);
    EXPECT_EQ(geometry.num_scored_windows(), 0);
    EXPECT_EQ(geometry.writer(63, 999), -1);
  }
}

TEST(Geometry, OneLevelIsDenseAndIgnoresBudgetAndTiles) {
  for (const int64_t top_k : {-3, 0, 1, 7, 1536}) {
    const Geometry geometry(100, options(1, 4, top_k, 17));
    EXPECT_EQ(geometry.retained_length(), 100);
    EXPECT_TRUE(geometry.is_dense());
    EXPECT_EQ(geometry.num_scored_windows(), 0);
  }
}

TEST(Geometry, PrintsOnOneLine) {
  const Geometry geometry(65536, options(3, 4, 1024));
  EXPECT_EQ(geometry.to_string(), "N=65536 L=3 p=4 k=1024 n=8: F=16 M=4096 T=0, S=12288 (18.75% of N)");
  std::ostringstream stream;
  stream << geometry;
  EXPECT_EQ(stream.str(), geometry.to_string());
}

TEST(Geometry, RefusesImpossibleOptionsByName) {
  struct Bad {
    int64_t num_tokens;
    PyramidOptions options;
    std::vector<std::string> named;  // what the message must hold: the parameter and what came
  };
  const std::vector<Bad> all = {
      {-1, options(3, 4, 8), {"-1"}},
      {100, options(0, 4, 8), {"num_levels", "0"}},
      {100, options(-2, 4, 8), {"num_levels", "-2"}},
      {100, options(65, 4, 8), {"num_levels", "64", "65"}},
      {100, options(3, 1, 8), {"pooling_factor", "1"}},
      {100, options(3, -4, 8), {"pooling_factor", "-4"}},
      {100, options(3, 4, 7), {"top_k", "even", "7"}},
      {100, options(3, 4, 0), {"top_k", "0"}},
      {100, options(3, 4, -8), {"top_k", "-8"}},
      {100, options(3, 4, 4, 3), {"num_tiles", "3"}},  // n does not divide k / 2
      {100, options(3, 4, 2, 2), {"2"}},               // k < 2 n
      {100, options(3, 4, 12, 0), {"num_tiles", "0"}},
      {100, options(3, 4, 12, -1), {"num_tiles", "-1"}},
      {100, options(3, 4, 14, 7), {"num_tiles", "6", "7"}},  // M = 6
      {10, options(3, 4, 8, 2), {"num_tiles", "2"}},         // M = 0
      {10, {.num_tiles = 2}, {"num_tiles", "2"}},
      {100, {.num_tiles = 7}, {"num_tiles", "6", "7"}},
      {100, {.num_tiles = 0}, {"num_tiles", "0"}},
  };
  for (const Bad& bad : all) {
    try {
      const Geometry geometry(bad.num_tokens, bad.options);
      ADD_FAILURE() << "accepted: " << geometry;
    } catch (const std::invalid_argument& error) {
      for (const std::string& word : bad.named) {
        EXPECT_NE(std::string(error.what()).find(word), std::string::npos)
            << "'" << word << "' not in: " << error.what();
      }
    }
  }
}

// ---- The reference itself ----

// N = 9, L = 3, p = 2, k = 2: F = 4, M = 2, T = 1, one tile, b = 2.
TEST(Reference, WorkedExample) {
  const Pyramid pyramid(9, {.num_levels = 3, .pooling_factor = 2, .top_k = 2, .num_tiles = 1});
  ASSERT_EQ(pyramid.windows.size(), 9U + 4U + 2U);
  // Coarsest: |C| = 2 = b, both expanded. Level 1: windows 0..3 compete; 0 by the prefix rule, 2 by its key score.
  const Selection selection = reference::select(pyramid, {0, 0, 0, 0, 0, 0, 9, 9, 0}, {0, 0, 1, 0, 0, 2, 0, 0, 9});
  const std::vector<Window> order = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {2, 0}, {0, 4},
                                     {0, 5}, {1, 2}, {1, 3}, {2, 1}, {0, 8}};
  EXPECT_EQ(selection.order, order);
}

// The same under 4b. Level 1: window 0 is first by rule; then by keys 2, whose children therefore do not write.
TEST(Reference, WorkedExampleOfCausalSelection) {
  const Pyramid pyramid(9, {.num_levels = 3,
                            .pooling_factor = 2,
                            .top_k = 2,
                            .num_tiles = 1,
                            .cover_prefix = true,
                            .causal_selection = true});
  const Selection selection = reference::select(pyramid, {0, 0, 0, 0, 0, 0, 9, 9, 0}, {0, 0, 1, 0, 0, 2, 0, 0, 9});
  const std::vector<Window> order = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {2, 0}, {0, 4},
                                     {0, 5}, {1, 2}, {1, 3}, {2, 1}, {0, 8}};
  const std::vector<bool> writes = {true, true, true, true, true, false, false, true, true, true, true};
  EXPECT_EQ(selection.order, order);
  EXPECT_EQ(selection.writes, writes);
}

// Section 5: an entry comes after everything inside its window and after all windows that end before its own starts.
TEST(Reference, SortKeyIsCausalAndPostOrder) {
  for_each_case("Reference.order", 60, {.max_tokens = 200}, [](const Case& c, Random& random) {
    const Pyramid pyramid = c.pyramid();
    const Selection selection =
        reference::select(pyramid, random_scores(random, c.num_tokens), random_scores(random, c.num_tokens));
    const auto& order = selection.order;
    for (size_t late = 0; late < order.size(); ++late) {
      for (size_t early = 0; early < late; ++early) {
        const auto early_tokens = pyramid.tokens(order[early]);
        const auto late_tokens = pyramid.tokens(order[late]);
        const bool before = early_tokens.back() < late_tokens.front();
        const bool inside = late_tokens.front() <= early_tokens.front() && early_tokens.back() <= late_tokens.back() &&
                            order[early].level < order[late].level;
        ASSERT_TRUE(before || inside) << "ranks " << early << ", " << late;
      }
    }
  });
}

// Section 7: coverage, and causality of the write ranges: what speaks for token j has seen tokens <= j only.
TEST(Reference, CoversEveryPositionCausally) {
  for_each_case("Reference.coverage", 80, {.max_tokens = 300}, [](const Case& c, Random& random) {
    const Pyramid pyramid = c.pyramid();
    const Selection selection =
        reference::select(pyramid, random_scores(random, c.num_tokens), random_scores(random, c.num_tokens));
    std::vector<int64_t> contributions(static_cast<size_t>(c.num_tokens));
    for (size_t row = 0; row < selection.order.size(); ++row) {
      if (!selection.writes[row]) continue;
      for (const int64_t token : pyramid.write_tokens(selection.order[row])) {
        ++contributions[static_cast<size_t>(token)];
        for (size_t seen = 0; seen <= row; ++seen) ASSERT_LE(pyramid.tokens(selection.order[seen]).back(), token);
      }
    }
    for (const int64_t count : contributions) {
      ASSERT_LE(count, c.options.num_levels);
      if (c.options.cover_prefix) {
        ASSERT_GE(count, 1);
      }
    }
  });
}

}  // namespace
}  // namespace lighthouse::test
