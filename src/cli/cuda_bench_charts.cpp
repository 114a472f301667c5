#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "cli/bench_charts.h"
#include "cli/cuda_bench_report.h"
#include "io/atomic_file.h"

namespace lighthouse::cli {
namespace {

using analysis::CudaResult;
using analysis::Figure;
using report::LineChart;
using report::Point;

constexpr int kFlashColor = 2;

/// The results of the first pyramid, rule and layout: a line each would hide what is compared.
std::vector<CudaResult> first_series(const CudaBenchReport& report) {
  std::vector<CudaResult> series;
  for (const auto& r : report.results) {
    if (r.where.name() == report.results.front().where.name()) series.push_back(r);
  }
  return series;
}

LineChart chart_over_length(const CudaBenchReport& report, const std::vector<CudaResult>& results,
                            const std::string& title) {
  LineChart chart;
  chart.title = title;
  chart.x_label = "tokens (" + report.cuda.gpu + ", " + layer_text(report.setting) +
                  (results.empty() ? "" : ", " + results.front().where.name()) + ")";
  chart.x_scale = report::Scale::kLog;
  chart.x_format = report::short_length;
  for (const auto& r : results) chart.x_ticks.push_back(static_cast<double>(r.where.num_tokens));
  return chart;
}

template <typename Value>
void add_line(LineChart& chart, const std::vector<CudaResult>& results, const std::string& name, int color, bool dashed,
              const Value& value) {
  report::Series series{.name = name, .points = {}, .color = color, .dashed = dashed, .markers = true};
  for (const auto& r : results) {
    const Figure figure = value(r);
    if (figure.value) series.points.push_back({static_cast<double>(r.where.num_tokens), *figure.value});
  }
  if (!series.points.empty()) chart.series.push_back(std::move(series));
}

/// "26× at 512K", between the ends of the two lines.
void note_ratio(LineChart& chart, const CudaResult& r) {
  const Figure& dense = r.dense.forward_backward;
  const Figure& layer = r.layer.forward_backward;
  const Figure over = ratio(dense, layer);
  if (!over.value) return;
  char text[64];
  std::snprintf(text, sizeof(text), *over.value < 10 ? "%.1f× at %s" : "%.0f× at %s", *over.value,
                report::short_length(static_cast<double>(r.where.num_tokens)).c_str());
  chart.notes.push_back({{static_cast<double>(r.where.num_tokens), std::sqrt(*dense.value * *layer.value)}, text});
}

}  // namespace

LineChart cuda_times_chart(const CudaBenchReport& report) {
  const auto results = first_series(report);
  LineChart chart = chart_over_length(report, results, "Time of one attention layer, forward and backward");
  chart.y_scale = report::Scale::kLog;
  chart.y_format = report::short_duration;
  add_line(chart, results, "dense attention", kDenseColor, false,
           [](const auto& r) { return r.dense.forward_backward; });
  add_line(chart, results, "dense, FlashAttention-2", kFlashColor, false,
           [](const auto& r) { return r.flash.forward_backward; });
  add_line(chart, results, "Lighthouse, whole layer", kLighthouseColor, false,
           [](const auto& r) { return r.layer.forward_backward; });
  add_line(chart, results, "its inner attention call", kLighthouseColor, true,
           [](const auto& r) { return r.inner.forward_backward; });
  if (!results.empty()) note_ratio(chart, results.back());
  return chart;
}

LineChart cuda_ratio_chart(const CudaBenchReport& report) {
  const auto results = first_series(report);
  LineChart chart = chart_over_length(report, results, "Dense attention's time over Lighthouse's");
  chart.y_label = "times faster";
  chart.y_min = 0;
  int color = kLighthouseColor;
  for (const auto& [name, pass] : {std::pair{"forward and backward", &analysis::PassFigures::forward_backward},
                                   std::pair{"forward", &analysis::PassFigures::forward}}) {
    const auto member = pass;
    add_line(chart, results, name, color, false,
             [&](const auto& r) { return ratio(r.dense.*member, r.layer.*member); });
    add_line(chart, results, std::string("limit, ") + name, color, true,
             [&](const auto& r) { return ratio(r.dense.*member, limit_of(report.setting, r).*member); });
    color = kFlashColor;
  }
  return chart;
}

void write_cuda_figures(const std::filesystem::path& path, const CudaBenchReport& report) {
  auto beside = path;
  beside.replace_filename(path.stem().string() + "-ratio" + path.extension().string());
  io::write_file(path, report::to_standalone_svg(cuda_times_chart(report)));
  io::write_file(beside, report::to_standalone_svg(cuda_ratio_chart(report)));
}

}  // namespace lighthouse::cli
