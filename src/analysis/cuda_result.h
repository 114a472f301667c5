// What the CUDA benchmark finds out, and the arithmetic of floors, limits and rates on it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/benchmark_plan.h"
#include "lighthouse/geometry.h"

namespace lighthouse::analysis {

/// A measured number, or why there is none.
struct Figure {
  std::optional<double> value;
  std::string missing = "not measured";  ///< Read where there is no value.

  static Figure of(double value) { return {value, ""}; }
  static Figure none(const std::string& why) { return {std::nullopt, why}; }
};

/// a / b, missing for the reason of the first that is.
Figure ratio(const Figure& a, const Figure& b);

/// Forward without gradients, and forward and backward together: two measurements.
struct PassFigures {
  Figure forward;
  Figure forward_backward;
};

/// Memory of the inputs: [B, H, N, D], or [B, N, H, D] seen through a transposition.
enum class Layout { kBhnd, kBnhd };
std::string name_of(Layout layout);

/// One measurement.
struct CudaCase {
  int64_t num_tokens = 0;
  Variant variant;
  bool causal_selection = false;
  Layout layout = Layout::kBhnd;

  Geometry geometry() const { return {num_tokens, variant.over(num_tokens)}; }
  /// "causal bnhd L=3 p=4 k=N/64": all but the length.
  std::string name() const;
};

struct CudaStage {
  std::string name;
  Figure ms;
  int64_t bytes = 0;  ///< That it must read and write; 0 where no floor is stated.
};

struct CudaResult {
  CudaCase where;
  int64_t repeats = 0;
  PassFigures layer;  ///< Milliseconds, as all times.
  PassFigures inner;
  PassFigures dense;
  PassFigures flash;  ///< Dense by FlashAttention-2.
  PassFigures layer_peak_bytes;
  PassFigures dense_peak_bytes;
  std::vector<CudaStage> stages;
  Figure copy_bytes_per_second;  ///< Of the large copy, read and written.
};

/// Bytes that stages must read and write.
struct Traffic {
  int64_t select = 0;
  int64_t gather = 0;  ///< And its adjoint.
  int64_t scatter = 0;
  int64_t rotary = 0;

  int64_t forward() const { return select + gather + scatter; }
  int64_t forward_backward() const { return forward() + scatter + gather; }
};
Traffic traffic_of(const BenchmarkSetting& setting, const Geometry& geometry);

/// Milliseconds that bytes take at the copy's speed.
Figure floor_ms(int64_t bytes, const Figure& copy_bytes_per_second);

/// The least that a layer could take: its inner call, and the floors of what stands beside it.
PassFigures limit_of(const BenchmarkSetting& setting, const CudaResult& result);

/// Operations of causal attention over `rows` rows.
double forward_operations(const BenchmarkSetting& setting, int64_t rows);
double forward_backward_operations(const BenchmarkSetting& setting, int64_t rows);
/// TFLOP/s.
PassFigures rates(const BenchmarkSetting& setting, int64_t rows, const PassFigures& ms);

/// The layer captured in a CUDA graph: forward and backward, milliseconds.
struct GraphResult {
  CudaCase where;
  Figure graph, layer, dense;
};

/// A layer under torch's default settings or its deterministic ones.
struct ModeResult {
  bool deterministic = false;
  PassFigures ms;
  PassFigures peak_bytes;
};

struct CudaExtras {
  GraphResult graph;
  CudaCase long_case;
  std::vector<ModeResult> modes;  ///< Over long_case.
};

}  // namespace lighthouse::analysis
