#include "cases.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <sstream>

namespace lighthouse::test {

namespace {

int64_t g_cases_run = 0;

std::optional<int64_t> number_from_environment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return std::nullopt;
  return std::stoll(text);
}

/// FNV-1a: each property has a stream of its own, whatever the order that the tests run in.
uint64_t hash(const std::string& text) {
  uint64_t value = 14695981039346656037ULL;
  for (const char c : text) value = (value ^ static_cast<uint8_t>(c)) * 1099511628211ULL;
  return value;
}

std::string number_or_default(std::optional<int64_t> number) { return number ? std::to_string(*number) : "default"; }

}  // namespace

uint64_t seed() { return static_cast<uint64_t>(number_from_environment("LIGHTHOUSE_TEST_SEED").value_or(20260523)); }
int64_t cases_run() { return g_cases_run; }

PyramidOptions Case::pyramid_options() const {
  PyramidOptions result;
  result.num_levels = options.num_levels;
  result.pooling_factor = options.pooling_factor;
  result.top_k = options.top_k;
  result.num_tiles = options.num_tiles;
  return result;
}

std::ostream& operator<<(std::ostream& stream, const Case& c) {
  stream << "B=" << c.batch << " H=" << c.heads << " K=" << c.key_heads << " N=" << c.num_tokens << " D=" << c.head_dim
         << " L=" << c.options.num_levels << " p=" << c.options.pooling_factor
         << " k=" << number_or_default(c.options.top_k) << " n=" << number_or_default(c.options.num_tiles);
  return stream << " cover_prefix=" << c.options.cover_prefix << " causal_selection=" << c.options.causal_selection
                << " data seed=" << c.seed;
}

Case random_case(Random& random, const Limits& limits) {
  Case c;
  while (true) {
    c.options = {};
    c.options.num_levels = random.chance(0.05) ? 1 : random.integer(2, limits.max_levels);
    c.options.pooling_factor = random.integer(2, 7);
    double coarsest = 1;  // F
    for (int64_t level = 1; level < c.options.num_levels; ++level)
      coarsest *= static_cast<double>(c.options.pooling_factor);
    // One case in eight may have no complete window at all.
    if (coarsest > static_cast<double>(limits.max_tokens) / 2 && !random.chance(0.05)) continue;

    const auto whole = static_cast<int64_t>(std::min(coarsest, 1e6));
    c.num_tokens = random.integer(0, limits.max_tokens);
    if (random.chance(0.05)) {
      c.num_tokens = random.integer(0, 2);
    } else if (random.chance(0.2)) {  // N at, one below and one above a multiple of F
      c.num_tokens = std::max<int64_t>(0, c.num_tokens / whole * whole + random.integer(-1, 1));
    }
    const int64_t num_coarsest = c.num_tokens / whole;

    if (c.options.num_levels == 1) {  // k and n are ignored
      c.options.top_k = random.integer(0, 9);
      if (random.chance(0.5)) c.options.num_tiles = random.integer(1, 9);
    } else if (num_coarsest > 0 && random.chance(0.75)) {
      c.options.num_tiles = random.integer(1, std::min<int64_t>(num_coarsest, 7));
      c.options.top_k = 2 * *c.options.num_tiles * random.integer(1, 5);
    } else {  // k / 128 tiles only where k is large
      c.options.top_k = 2 * (random.chance(0.3) ? random.integer(128, 400) : random.integer(1, 20));
    }
    if (random.chance(0.25)) c.options.top_k = {};
    c.options.cover_prefix = random.chance(0.75);
    c.options.causal_selection = c.options.cover_prefix && random.chance(0.6);
    if (!limits.shorter || c.geometry().retained_length() < c.num_tokens) break;
  }
  c.batch = limits.empty_batch && random.chance(0.03) ? 0 : random.integer(1, limits.max_batch);
  c.key_heads = random.integer(1, limits.max_key_heads);
  c.heads = c.key_heads * random.integer(1, limits.max_group);
  c.head_dim = random.chance(0.3) ? random.pick<int64_t>({1, 2, 8, 16, 32, 64}) : random.integer(1, 65);
  c.head_dim = std::min(c.head_dim, limits.max_head_dim);
  c.seed = random.bits() >> 16;
  return c;
}

std::vector<float> random_scores(Random& random, int64_t num_tokens) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const int64_t kind = random.integer(0, 6);
  const auto constant = static_cast<float>(random.normal());
  std::vector<float> scores;
  for (int64_t token = 0; token < num_tokens; ++token) {
    const auto gaussian = static_cast<float>(random.normal());
    switch (kind) {
      case 0: scores.push_back(std::abs(gaussian)); break;
      case 1: scores.push_back(gaussian); break;
      case 2: scores.push_back(static_cast<float>(random.integer(0, 2))); break;  // ties everywhere
      case 3:                                                                     // ties among all that a float can be
        scores.push_back(random.pick<float>(
            {0.0F, -0.0F, kInfinity, -kInfinity, kNaN, -kNaN, 1.0F, -1.0F, 1e-42F, -1e-42F, 3.4e38F, -3.4e38F}));
        break;
      case 4: scores.push_back(random.chance(0.9) ? kNaN : gaussian); break;
      case 5: scores.push_back(random.chance(0.5) ? constant : -constant); break;
      default: scores.push_back(constant * static_cast<float>(token)); break;  // sorted, up or down
    }
  }
  return scores;
}

void for_each_random(const std::string& property, int64_t count, const std::function<void(Random&)>& check) {
  const int64_t cases = number_from_environment("LIGHTHOUSE_TEST_CASES").value_or(count);
  Random streams(seed() ^ hash(property));
  for (int64_t index = 0; index < cases && !::testing::Test::HasFailure(); ++index) {
    std::ostringstream trace;
    trace << property << ", case " << index << " of LIGHTHOUSE_TEST_SEED=" << seed();
    SCOPED_TRACE(trace.str());
    ++g_cases_run;
    Random random(streams.bits());
    check(random);
  }
}

void for_each_case(const std::string& property, int64_t count, const Limits& limits,
                   const std::function<void(const Case&, Random&)>& check) {
  for_each_random(property, count, [&](Random& random) {
    const Case c = random_case(random, limits);
    std::ostringstream trace;
    trace << c;
    SCOPED_TRACE(trace.str());
    check(c, random);
  });
}

}  // namespace lighthouse::test

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const int status = RUN_ALL_TESTS();
  std::cout << lighthouse::test::cases_run()
            << " random property cases, LIGHTHOUSE_TEST_SEED=" << lighthouse::test::seed() << std::endl;
  return status;
}
