// Times of Lighthouse attention beside dense attention, its inner attention call, and the floors of its stages.
//
// All figures of one length come from one interleaved run on the same inputs: dense and Lighthouse iterations take
// turns, so that whatever else the machine does falls on all of them, and ratios hold where absolute times do not.
// Times are medians.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "analysis/benchmark_plan.h"

namespace lighthouse::analysis {

/// Milliseconds. `forward` is the forward part of the iterations that `forward_backward` is of: it keeps what backward
/// needs.
struct PassTimes {
  double forward_ms = 0;
  double forward_backward_ms = 0;
};

struct StageTime {
  std::string name;
  double ms = 0;
  int64_t bytes = 0;    ///< That the stage must read and write.
  double floor_ms = 0;  ///< Of these bytes, at the speed of a large copy among the same iterations.
};

struct DenseResult {
  PassTimes times;
  int64_t repeats = 0;  ///< Iterations that the medians are of.
  int64_t peak_bytes = 0;
};

struct LayerResult {
  Variant variant;
  Geometry geometry;
  PassTimes layer;         ///< lighthouse::attention.
  PassTimes inner;         ///< Its inner attention call, in the same iterations.
  double beside_ms = 0;    ///< The layer's time less the inner call's, forward and backward.
  int64_t peak_bytes = 0;  ///< Of forward and backward, above the inputs: memory_peak.h says what counts.
  std::vector<StageTime> stages;
  double copy_bytes_per_second = 0;  ///< Of the large copy, read and written: what the floors are by.
};

struct LengthResult {
  int64_t num_tokens = 0;
  std::optional<DenseResult> dense;
  std::vector<LayerResult> layers;
};

/// Told what is about to run, for a line of progress.
using Activity = std::function<void(const std::string&)>;

LengthResult measure(const BenchmarkSetting& setting, const LengthPlan& plan, const Activity& activity = {});

/// Seconds that a length will take, judged by one that was measured: dense attention's cost grows with N^2, the inner
/// call's with S^2, the rest with N.
double expected_seconds(const BenchmarkSetting& setting, const LengthPlan& plan, const LengthResult& measured);

}  // namespace lighthouse::analysis
