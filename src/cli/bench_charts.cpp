#include "cli/bench_charts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace lighthouse::cli {
namespace {

using analysis::LayerResult;
using analysis::LengthResult;
using report::LineChart;
using report::Point;
using report::Series;

constexpr int kBesideColor = 2;

/// The pyramids by name, in the order given; a length may lack some.
std::vector<std::string> variant_names(const BenchReport& report) {
  std::vector<std::string> names;
  for (const auto& length : report.lengths) {
    for (const auto& layer : length.layers) {
      const std::string name = layer.variant.name();
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

/// A colour for each pyramid: dense attention's is left out.
int variant_color(size_t index) {
  constexpr std::array<int, 5> kColors = {kLighthouseColor, 2, 3, 4, 5};
  return kColors[index % kColors.size()];
}

/// A line over N of one pyramid.
template <typename Value>
std::vector<Point> variant_points(const BenchReport& report, const std::string& variant, const Value& value) {
  std::vector<Point> points;
  for (const auto& length : report.lengths) {
    for (const auto& layer : length.layers) {
      if (layer.variant.name() != variant) continue;
      points.push_back({static_cast<double>(length.num_tokens), value(length, layer)});
    }
  }
  return points;
}

template <typename Value>
std::vector<Point> dense_points(const BenchReport& report, const Value& value) {
  std::vector<Point> points;
  for (const auto& length : report.lengths) {
    if (length.dense) points.push_back({static_cast<double>(length.num_tokens), value(*length.dense)});
  }
  return points;
}

Series line(const std::string& name, std::vector<Point> points, int color, bool dashed = false) {
  return {.name = name, .points = std::move(points), .color = color, .dashed = dashed, .markers = true};
}

LineChart chart_over_length(const BenchReport& report, const std::string& title, const std::string& y_label) {
  LineChart chart;
  chart.title = title;
  chart.x_label = "tokens";
  chart.y_label = y_label;
  chart.x_scale = report::Scale::kLog;
  chart.y_scale = report::Scale::kLog;
  chart.x_format = report::short_length;
  for (const auto& length : report.lengths) chart.x_ticks.push_back(static_cast<double>(length.num_tokens));
  return chart;
}

/// "26× at 64K", between the ends of the two lines.
void note_ratio(LineChart& chart, const LengthResult& length) {
  if (!length.dense) return;
  const double dense = length.dense->times.forward_backward_ms;
  const double layer = length.layers.front().layer.forward_backward_ms;
  char text[64];
  std::snprintf(text, sizeof(text), dense < 10 * layer ? "%.1f× at %s" : "%.0f× at %s", dense / layer,
                report::short_length(static_cast<double>(length.num_tokens)).c_str());
  chart.notes.push_back({{static_cast<double>(length.num_tokens), std::sqrt(dense * layer)}, text});
}

LineChart stage_chart(const BenchReport& report, const std::string& variant) {
  LineChart chart = chart_over_length(report, "Stages and their floors, " + variant, "");
  chart.y_format = report::short_duration;
  const auto& stages = report.lengths.front().layers.front().stages;
  // In the palette's order where adjoints do not share a floor's line.
  constexpr std::array<int, 5> kColors = {0, 1, 2, 3, 4};
  for (size_t s = 0; s < stages.size(); ++s) {
    chart.series.push_back(
        line(stages[s].name,
             variant_points(report, variant, [&](const auto&, const auto& layer) { return layer.stages[s].ms; }),
             kColors[s % kColors.size()]));
  }
  for (size_t s = 0; s < stages.size(); ++s) {
    // An adjoint moves the same bytes.
    if (stages[s].name.find("backward") != std::string::npos) continue;
    chart.series.push_back(
        line("floor of " + stages[s].name,
             variant_points(report, variant, [&](const auto&, const auto& layer) { return layer.stages[s].floor_ms; }),
             kColors[s % kColors.size()], true));
  }
  return chart;
}

LineChart ratio_chart(const BenchReport& report) {
  LineChart chart = chart_over_length(report, "Dense attention's time over Lighthouse's", "times faster");
  chart.y_scale = report::Scale::kLinear;
  chart.y_min = 0;
  const auto names = variant_names(report);
  for (size_t i = 0; i < names.size(); ++i) {
    const auto ratio = [](const auto& pass) {
      return [=](const LengthResult& length, const LayerResult& layer) {
        return length.dense->times.*pass / (layer.layer.*pass);
      };
    };
    chart.series.push_back(line("forward and backward, " + names[i],
                                variant_points(report, names[i], ratio(&analysis::PassTimes::forward_backward_ms)),
                                variant_color(i)));
    chart.series.push_back(line("forward", variant_points(report, names[i], ratio(&analysis::PassTimes::forward_ms)),
                                variant_color(i), true));
  }
  return chart;
}

LineChart memory_chart(const BenchReport& report) {
  LineChart chart = chart_over_length(report, "Peak memory of forward and backward, above the inputs", "");
  chart.y_format = report::short_bytes;
  const auto dense = dense_points(report, [](const auto& d) { return static_cast<double>(d.peak_bytes); });
  if (!dense.empty()) chart.series.push_back(line("dense attention", dense, kDenseColor));
  const auto names = variant_names(report);
  for (size_t i = 0; i < names.size(); ++i) {
    chart.series.push_back(
        line("Lighthouse, " + names[i],
             variant_points(report, names[i],
                            [](const auto&, const auto& layer) { return static_cast<double>(layer.peak_bytes); }),
             variant_color(i)));
  }
  return chart;
}

}  // namespace

std::string layer_text(const analysis::BenchmarkSetting& setting) {
  return "B=" + std::to_string(setting.batch) + " H=" + std::to_string(setting.heads) +
         " K=" + std::to_string(setting.kv_heads) + " D=" + std::to_string(setting.head_dim) + " " +
         analysis::name_of(setting.dtype) + (setting.causal_selection ? " causal selection" : "");
}

std::string inner_kernel_text(const analysis::Provenance& provenance) {
  return provenance.inner_kernel.empty() ? "" : ", attention kernel " + provenance.inner_kernel;
}

std::string threads_text(const analysis::Provenance& provenance) {
  return std::to_string(provenance.threads) + (provenance.threads == 1 ? " thread" : " threads");
}

LineChart bench_figure(const BenchReport& report) {
  LineChart chart = chart_over_length(report, "Time of one attention layer, forward and backward", "");
  const auto names = variant_names(report);
  chart.x_label += " (" + layer_text(report.setting) + ", " + threads_text(report.provenance) +
                   (names.size() == 1 ? ", " + names.front() : "") + ")";
  chart.y_format = report::short_duration;
  const auto dense = dense_points(report, [](const auto& d) { return d.times.forward_backward_ms; });
  if (!dense.empty()) chart.series.push_back(line("dense attention", dense, kDenseColor));
  const auto layer_ms = [](const auto&, const LayerResult& layer) { return layer.layer.forward_backward_ms; };
  if (names.size() > 1) {
    for (size_t i = 0; i < names.size(); ++i) {
      chart.series.push_back(
          line("Lighthouse, " + names[i], variant_points(report, names[i], layer_ms), variant_color(i)));
    }
    return chart;
  }
  const auto inner_ms = [](const auto&, const LayerResult& layer) { return layer.inner.forward_backward_ms; };
  const auto beside_ms = [](const auto&, const LayerResult& layer) { return layer.beside_ms; };
  const std::string& name = names.front();
  chart.series.push_back(line("Lighthouse, whole layer", variant_points(report, name, layer_ms), kLighthouseColor));
  chart.series.push_back(
      line("its inner attention call", variant_points(report, name, inner_ms), kLighthouseColor, true));
  chart.series.push_back(line("everything beside it", variant_points(report, name, beside_ms), kBesideColor));
  note_ratio(chart, report.lengths.back());
  return chart;
}

std::vector<LineChart> bench_charts(const BenchReport& report) {
  std::vector<LineChart> charts = {bench_figure(report)};
  for (const auto& name : variant_names(report)) charts.push_back(stage_chart(report, name));
  if (report.setting.dense) charts.push_back(ratio_chart(report));
  charts.push_back(memory_chart(report));
  return charts;
}

}  // namespace lighthouse::cli
