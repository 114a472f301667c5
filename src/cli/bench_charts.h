// The benchmark's charts.
#pragma once

#include <string>
#include <vector>

#include "cli/bench_report.h"
#include "report/line_chart.h"

namespace lighthouse::cli {

/// Numbers of the palette, the same in every chart of the benchmark.
inline constexpr int kLighthouseColor = 0;
inline constexpr int kDenseColor = 1;

/// "B=1 H=4 K=4 D=64 float32": what all layers have in common.
std::string layer_text(const analysis::BenchmarkSetting& setting);

/// ", attention kernel flash"; empty where a record does not say.
std::string inner_kernel_text(const analysis::Provenance& provenance);

/// "2 threads".
std::string threads_text(const analysis::Provenance& provenance);

/// Time of one layer over N, forward and backward: dense, Lighthouse and, where there is one pyramid only, the inner
/// call and what stands beside it.
report::LineChart bench_figure(const BenchReport& report);

/// The figure, then stages, ratio to dense, and peak memory over N.
std::vector<report::LineChart> bench_charts(const BenchReport& report);

}  // namespace lighthouse::cli
