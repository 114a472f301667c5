// What a benchmark measures: the setting that all cases share, and the cases of each length.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lighthouse/geometry.h"

namespace lighthouse::analysis {

/// What all cases share.
struct BenchmarkSetting {
  int64_t batch = 1;
  int64_t heads = 4;
  int64_t kv_heads = 4;
  int64_t head_dim = 64;
  at::ScalarType dtype = at::kFloat;
  bool causal_selection = false;
  bool dense = true;    ///< Time dense attention too.
  int64_t repeats = 7;  ///< Timed iterations; of dense attention only as many as fit kDenseSeconds, at least one.
};

/// Dense attention is repeated for this long per length: at 64K tokens one iteration takes most of a minute on two
/// cores.
constexpr double kDenseSeconds = 20;

/// One pyramid, over any length.
struct Variant {
  int64_t num_levels = 3;
  int64_t pooling_factor = 4;
  std::optional<int64_t> top_k;  ///< Default: default_top_k of the length.

  PyramidOptions over(int64_t num_tokens) const;
  /// "L=3 p=4 k=N/64".
  std::string name() const;
};

/// The library's own default, about N / 64.
int64_t default_top_k(int64_t num_tokens);

/// "float32" or "bfloat16"; on CUDA "float16" too. Throws std::invalid_argument for others.
at::ScalarType dtype_of(const std::string& name, bool cuda = false);
std::string name_of(at::ScalarType dtype);

/// The attention kernel that layers of the setting run: "flash". Throws where the one that LIGHTHOUSE_INNER names
/// cannot.
std::string inner_kernel_of(const BenchmarkSetting& setting, at::DeviceType device);

/// The cases of one length.
struct LengthPlan {
  int64_t num_tokens = 0;
  std::vector<Variant> variants;
};

struct Plan {
  std::vector<LengthPlan> lengths;   ///< Ascending.
  std::vector<std::string> skipped;  ///< A sentence for each case that Lighthouse has nothing to give for.
};

/// Every variant over every length. Throws std::invalid_argument where a value of the setting, a length or a variant is
/// wrong whatever it is combined with, or where no case is left.
Plan make_plan(const BenchmarkSetting& setting, std::vector<int64_t> lengths, const std::vector<Variant>& variants);

}  // namespace lighthouse::analysis
