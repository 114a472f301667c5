// Random cases for the property tests. No torch here.
//
//   LIGHTHOUSE_TEST_SEED   another seed than the fixed default
//   LIGHTHOUSE_TEST_CASES  cases per property in place of each property's own number
//
// A failing case prints its seed and its parameters; the same seed gives the same cases again.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "../reference/reference.h"
#include "lighthouse/geometry.h"

namespace lighthouse::test {

uint64_t seed();
/// Cases run so far, over all properties of this program.
int64_t cases_run();

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  /// Uniform in [low, high].
  int64_t integer(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(engine_); }
  double real(double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine_); }
  double normal() { return std::normal_distribution<double>()(engine_); }
  bool chance(double probability) { return real(0, 1) < probability; }
  template <typename T>
  T pick(const std::vector<T>& values) {
    return values[static_cast<size_t>(integer(0, static_cast<int64_t>(values.size()) - 1))];
  }
  uint64_t bits() { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

/// What a property asks of its cases.
struct Limits {
  int64_t max_tokens = 600;
  int64_t max_levels = 6;
  int64_t max_batch = 3;
  int64_t max_key_heads = 3;
  int64_t max_group = 3;
  int64_t max_head_dim = 65;
  bool shorter = false;  ///< S < N, so that attention() does not run dense.
  bool empty_batch = true;
};

struct Case {
  int64_t batch = 1;       // B
  int64_t heads = 1;       // H
  int64_t key_heads = 1;   // K
  int64_t num_tokens = 0;  // N
  int64_t head_dim = 1;    // D
  reference::Options options;
  uint64_t seed = 0;  // for the data

  PyramidOptions pyramid_options() const;
  Geometry geometry() const { return Geometry(num_tokens, pyramid_options()); }
  reference::Pyramid pyramid() const { return reference::Pyramid(num_tokens, options); }
};
std::ostream& operator<<(std::ostream& stream, const Case& c);

Case random_case(Random& random, const Limits& limits = {});

/// Per-token scores of the kinds that selection has trouble with: ties, NaN, +-0, +-infinity, order, constants.
std::vector<float> random_scores(Random& random, int64_t num_tokens);

/// Runs a property on `count` cases of its own random stream and stops at the first that fails.
void for_each_case(const std::string& property, int64_t count, const Limits& limits,
                   const std::function<void(const Case&, Random&)>& check);

/// The same without a pyramid.
void for_each_random(const std::string& property, int64_t count, const std::function<void(Random&)>& check);

}  // namespace lighthouse::test
