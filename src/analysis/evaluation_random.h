// Random bytes that a seed fixes on every machine.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

namespace lighthouse::analysis {

/// The engine's sequence is fixed by the C++ standard; its distributions are not, so they are not used.
class EvaluationRandom {
 public:
  /// A stream of its own for each place in a grid, so that a cell's trials do not depend on which others are run.
  EvaluationRandom(uint64_t seed, uint64_t task, int64_t length, int64_t depth, int64_t trial);

  int64_t below(int64_t bound);
  std::string text(int64_t length, std::string_view alphabet);

 private:
  std::mt19937_64 engine_;
};

}  // namespace lighthouse::analysis
