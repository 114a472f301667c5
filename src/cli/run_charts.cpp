#include "cli/run_charts.h"

#include <algorithm>
#include <cmath>

#include "cli/bench_charts.h"
#include "cli/run_figures.h"

namespace lighthouse::cli {
namespace {

using report::LineChart;
using report::Point;
using report::Series;
using train::StepRecord;

/// A colour for each run. The dense run that others are measured against has the one of dense attention in every chart
/// of the project.
int color_of_run(const std::vector<ReportedRun>& runs, size_t index) {
  const ReportedRun* const dense = runs.size() > 1 ? find_dense_run(runs) : nullptr;
  if (dense == nullptr) return static_cast<int>(index);
  if (&runs[index] == dense) return kDenseColor;
  const auto before = static_cast<int>(index) - (dense < &runs[index] ? 1 : 0);  // runs but the dense one
  return before < kDenseColor ? before : before + 1;
}

/// Charts hold some hundred points a line at most: means of neighbours where there are more. Points without a finite
/// value stay by themselves, and so does the last one.
std::vector<Point> thinned(const std::vector<Point>& points) {
  constexpr size_t kMost = 400;
  const size_t together = (points.size() + kMost - 1) / kMost;
  if (together <= 1) return points;
  std::vector<Point> means;
  Point sum;
  size_t count = 0;
  const auto flush = [&] {
    if (count > 0) means.push_back({sum.x / static_cast<double>(count), sum.y / static_cast<double>(count)});
    sum = {};
    count = 0;
  };
  for (const auto& point : points) {
    const bool apart = !std::isfinite(point.y) || &point == &points.back();
    if (apart || count == together) flush();
    if (apart) {
      means.push_back(point);
      continue;
    }
    sum = {sum.x + point.x, sum.y + point.y};
    count += 1;
  }
  return means;
}

/// Means over neighbours, a fiftieth of the points to either side: what is left when single batches' luck is taken out.
/// Points without a finite value stay as they are and count for none.
std::vector<Point> smoothed(const std::vector<Point>& points) {
  const size_t reach = points.size() / 50;
  std::vector<double> sums = {0};
  std::vector<size_t> counts = {0};
  for (const auto& point : points) {
    const bool finite = std::isfinite(point.y);
    sums.push_back(sums.back() + (finite ? point.y : 0));
    counts.push_back(counts.back() + (finite ? 1 : 0));
  }
  std::vector<Point> means = points;
  for (size_t i = 0; i < points.size(); ++i) {
    if (!std::isfinite(points[i].y)) continue;
    // As many to the left as to the right, so that the ends lean to neither side.
    const size_t near = std::min({reach, i, points.size() - 1 - i});
    const size_t begin = i - near;
    const size_t end = i + near + 1;
    means[i].y = (sums[end] - sums[begin]) / static_cast<double>(counts[end] - counts[begin]);
  }
  return means;
}

/// What a chart's x axis counts.
enum class Over { kTokens, kSeconds };

template <typename Record>
double position_of(const Record& record, Over over) {
  return over == Over::kTokens ? static_cast<double>(record.tokens) : record.seconds;
}

/// Vertical lines where a run's attention changes.
void mark_switches(LineChart& chart, const ReportedRun& run, int color, Over over) {
  const auto& steps = run.metrics.steps;
  for (size_t i = 1; i < steps.size(); ++i) {
    if (steps[i].attention == steps[i - 1].attention) continue;
    const double at = position_of(steps[i - 1], over);
    // Labels of lines that are close to each other would stand in each other's way, and say the same.
    const double close = 0.03 * position_of(steps.back(), over);
    const auto is_close = [&](const auto& mark) { return std::abs(mark.x - at) < close; };
    const bool labelled = std::any_of(chart.marks.begin(), chart.marks.end(), is_close);
    chart.marks.push_back({at, labelled ? "" : "switch to " + steps[i].attention, color});
  }
}

LineChart new_chart(const std::string& title, const std::string& y_label, Over over) {
  LineChart chart;
  chart.title = title;
  chart.x_label = over == Over::kTokens ? "tokens" : "seconds of training";
  chart.y_label = y_label;
  return chart;
}

LineChart validation_chart(const std::vector<ReportedRun>& runs, Over over) {
  LineChart chart =
      new_chart(over == Over::kTokens ? "Validation loss over tokens" : "Validation loss over training time",
                "nats per token, dense attention", over);
  for (size_t i = 0; i < runs.size(); ++i) {
    if (runs[i].metrics.validations.empty()) continue;
    Series series{.name = runs[i].name, .points = {}, .color = color_of_run(runs, i), .dashed = false, .markers = true};
    for (const auto& record : runs[i].metrics.validations)
      series.points.push_back({position_of(record, over), record.dense_loss});
    series.points = thinned(series.points);
    series.markers = series.points.size() < 60;
    chart.series.push_back(std::move(series));
    mark_switches(chart, runs[i], color_of_run(runs, i), over);
  }
  return chart;
}

template <typename Value>
LineChart step_chart(const std::vector<ReportedRun>& runs, const std::string& title, const std::string& y_label,
                     Over over, const Value& value, bool smooth = false) {
  LineChart chart = new_chart(title, y_label, over);
  for (size_t i = 0; i < runs.size(); ++i) {
    Series series{.name = runs[i].name, .points = {}, .color = color_of_run(runs, i)};
    for (const auto& step : runs[i].metrics.steps) series.points.push_back({position_of(step, over), value(step)});
    series.points = thinned(smooth ? smoothed(series.points) : series.points);
    chart.series.push_back(std::move(series));
    mark_switches(chart, runs[i], color_of_run(runs, i), over);
  }
  return chart;
}

std::vector<double> finite_values(const LineChart& chart) {
  std::vector<double> values;
  for (const auto& series : chart.series) {
    for (const auto& point : series.points) {
      if (std::isfinite(point.y)) values.push_back(point.y);
    }
  }
  return values;
}

/// The first steps' losses are of another scale than the rest, which is what is looked at.
void cut_first_losses(LineChart& chart) {
  std::vector<double> values = finite_values(chart);
  if (values.size() < 20) return;
  std::sort(values.begin(), values.end());
  const double low = values.front();
  const double high = values[values.size() * 98 / 100];
  if (!(high > low)) return;
  chart.y_min = low - 0.05 * (high - low);
  chart.y_max = high + 0.05 * (high - low);
}

/// From 0 up, with room for labels above the lines.
void leave_room(LineChart& chart) {
  double high = 0;
  for (const double value : finite_values(chart)) high = std::max(high, value);
  chart.y_min = 0;
  if (high > 0) chart.y_max = 1.12 * high;
}

}  // namespace

std::vector<LineChart> validation_charts(const std::vector<ReportedRun>& runs) {
  return {validation_chart(runs, Over::kSeconds), validation_chart(runs, Over::kTokens)};
}

std::vector<LineChart> training_loss_charts(const std::vector<ReportedRun>& runs) {
  const auto loss = [](const StepRecord& step) { return step.loss; };
  std::vector<LineChart> charts = {
      step_chart(runs, "Training loss over training time, running mean", "nats per token", Over::kSeconds, loss, true),
      step_chart(runs, "Training loss over tokens, running mean", "nats per token", Over::kTokens, loss, true)};
  for (auto& chart : charts) cut_first_losses(chart);
  return charts;
}

std::vector<LineChart> schedule_charts(const std::vector<ReportedRun>& runs) {
  LineChart speed = step_chart(runs, "Tokens per second", "tokens/s", Over::kTokens,
                               [](const StepRecord& step) { return step.tokens_per_second; });
  LineChart share = step_chart(runs, "Share of the sequence that attention sees", "S / N", Over::kTokens,
                               [](const StepRecord& step) { return step.retained_fraction; });
  LineChart rate = step_chart(runs, "Learning rate", "learning rate", Over::kTokens,
                              [](const StepRecord& step) { return step.learning_rate; });
  for (LineChart* chart : {&speed, &share, &rate}) leave_room(*chart);
  return {speed, share, rate,
          step_chart(runs, "Norm of the gradient, before clipping", "norm", Over::kTokens,
                     [](const StepRecord& step) { return step.gradient_norm; })};
}

}  // namespace lighthouse::cli
