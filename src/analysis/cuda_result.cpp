#include "analysis/cuda_result.h"

#include <c10/core/ScalarType.h>

namespace lighthouse::analysis {

Figure ratio(const Figure& a, const Figure& b) {
  if (!a.value) return a;
  if (!b.value) return b;
  return Figure::of(*a.value / *b.value);
}

std::string name_of(Layout layout) { return layout == Layout::kBhnd ? "bhnd" : "bnhd"; }

std::string CudaCase::name() const {
  return (causal_selection ? "causal " : "paper ") + name_of(layout) + " " + variant.name();
}

Traffic traffic_of(const BenchmarkSetting& setting, const Geometry& geometry) {
  const auto element = static_cast<int64_t>(c10::elementSize(setting.dtype));
  const auto bytes = [&](int64_t heads, int64_t rows) {
    return element * setting.batch * heads * rows * setting.head_dim;
  };
  const int64_t n = geometry.num_tokens();
  const int64_t s = geometry.retained_length();
  const int64_t query_key = bytes(setting.heads + setting.kv_heads, n);
  // The angles' cosines and sines are float32, D/2 of each a token.
  const int64_t angles = 4 * n * setting.head_dim;
  return {.select = query_key,
          .gather = bytes(setting.heads + 2 * setting.kv_heads, n + s),
          .scatter = bytes(setting.heads, n + s),
          .rotary = 2 * query_key + angles};
}

Figure floor_ms(int64_t bytes, const Figure& copy_bytes_per_second) {
  return ratio(Figure::of(1e3 * static_cast<double>(bytes)), copy_bytes_per_second);
}

PassFigures limit_of(const BenchmarkSetting& setting, const CudaResult& result) {
  const Traffic traffic = traffic_of(setting, result.where.geometry());
  const auto limit = [&](const Figure& inner, int64_t bytes) {
    const Figure floor = floor_ms(bytes, result.copy_bytes_per_second);
    if (!inner.value) return inner;
    return floor.value ? Figure::of(*inner.value + *floor.value) : floor;
  };
  return {limit(result.inner.forward, traffic.forward()),
          limit(result.inner.forward_backward, traffic.forward_backward())};
}

double forward_operations(const BenchmarkSetting& setting, int64_t rows) {
  return 2.0 * static_cast<double>(setting.batch * setting.heads * setting.head_dim) * static_cast<double>(rows) *
         static_cast<double>(rows);
}

double forward_backward_operations(const BenchmarkSetting& setting, int64_t rows) {
  return 3.5 * forward_operations(setting, rows);  // backward has five products for forward's two
}

PassFigures rates(const BenchmarkSetting& setting, int64_t rows, const PassFigures& ms) {
  return {ratio(Figure::of(1e-9 * forward_operations(setting, rows)), ms.forward),
          ratio(Figure::of(1e-9 * forward_backward_operations(setting, rows)), ms.forward_backward)};
}

}  // namespace lighthouse::analysis
