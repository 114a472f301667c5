#include "cli/run_report.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

#include "cli/number_text.h"
#include "cli/progress.h"

namespace lighthouse::cli {
namespace {

using report::LineChart;
using report::Point;
using report::Series;
using train::StageResult;
using train::StepRecord;
using train::ValidationRecord;

std::string number_or_dash(const char* pattern, std::optional<double> value) {
  return value ? number(pattern, *value) : "-";
}

std::optional<StageResult> find_stage(const ReportedRun& run, const std::string& attention) {
  for (auto& stage : train::summarize_stages(run.metrics.steps)) {
    if (stage.attention == attention) return stage;
  }
  return std::nullopt;
}

/// The end of the Lighthouse stage, where both losses were taken at the same weights.
const ValidationRecord* find_switch(const ReportedRun& run) {
  for (const auto& validation : run.metrics.validations) {
    if (validation.stage_end && validation.lighthouse_loss) return &validation;
  }
  return nullptr;
}

double training_seconds(const ReportedRun& run) {
  return run.metrics.steps.empty() ? 0 : run.metrics.steps.back().seconds;
}

/// The run's validation loss where `position` of a record reaches `value`, between validations by a straight line.
template <typename Position>
std::optional<double> loss_at(const ReportedRun& run, double value, const Position& position) {
  const auto& validations = run.metrics.validations;
  for (size_t i = 0; i < validations.size(); ++i) {
    const auto& after = validations[i];
    if (position(after) == value) return after.dense_loss;
    if (i == 0 || position(after) < value || position(validations[i - 1]) > value) continue;
    const auto& before = validations[i - 1];
    const double part = (value - position(before)) / (position(after) - position(before));
    return before.dense_loss + part * (after.dense_loss - before.dense_loss);
  }
  return std::nullopt;
}

double seconds_of(const ValidationRecord& record) { return record.seconds; }

/// A run that is dense throughout, to measure the others against.
const ReportedRun* find_dense_run(const std::vector<ReportedRun>& runs) {
  const auto found = std::find_if(runs.begin(), runs.end(), [](const ReportedRun& run) {
    return !run.metrics.steps.empty() && !find_stage(run, "lighthouse");
  });
  return found == runs.end() ? nullptr : &*found;
}

/// Charts hold some hundred points a line at most: means of neighbours where there are more.
std::vector<Point> thinned(const std::vector<Point>& points) {
  constexpr size_t kMost = 400;
  const size_t together = (points.size() + kMost - 1) / kMost;
  if (together <= 1) return points;
  std::vector<Point> means;
  for (size_t begin = 0; begin < points.size(); begin += together) {
    const size_t end = std::min(points.size(), begin + together);
    Point sum;
    for (size_t i = begin; i < end; ++i) sum = {sum.x + points[i].x, sum.y + points[i].y};
    means.push_back({sum.x / static_cast<double>(end - begin), sum.y / static_cast<double>(end - begin)});
  }
  return means;
}

/// Means over neighbours, a fiftieth of the points to either side: what is left when single batches' luck is taken out.
std::vector<Point> smoothed(const std::vector<Point>& points) {
  const size_t reach = points.size() / 50;
  std::vector<double> sums = {0};
  for (const auto& point : points) sums.push_back(sums.back() + point.y);
  std::vector<Point> means;
  for (size_t i = 0; i < points.size(); ++i) {
    // As many to the left as to the right, so that the ends lean to neither side.
    const size_t near = std::min({reach, i, points.size() - 1 - i});
    means.push_back({points[i].x, (sums[i + near + 1] - sums[i - near]) / static_cast<double>(2 * near + 1)});
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
    Series series{.name = runs[i].name, .points = {}, .color = static_cast<int>(i), .dashed = false, .markers = true};
    for (const auto& record : runs[i].metrics.validations) {
      series.points.push_back({position_of(record, over), record.dense_loss});
    }
    series.points = thinned(series.points);
    series.markers = series.points.size() < 60;
    chart.series.push_back(std::move(series));
    mark_switches(chart, runs[i], static_cast<int>(i), over);
  }
  return chart;
}

template <typename Value>
LineChart step_chart(const std::vector<ReportedRun>& runs, const std::string& title, const std::string& y_label,
                     Over over, const Value& value, bool smooth = false) {
  LineChart chart = new_chart(title, y_label, over);
  for (size_t i = 0; i < runs.size(); ++i) {
    Series series{.name = runs[i].name, .points = {}, .color = static_cast<int>(i)};
    for (const auto& step : runs[i].metrics.steps) series.points.push_back({position_of(step, over), value(step)});
    series.points = thinned(smooth ? smoothed(series.points) : series.points);
    chart.series.push_back(std::move(series));
    mark_switches(chart, runs[i], static_cast<int>(i), over);
  }
  return chart;
}

/// The first steps' losses are of another scale than the rest, which is what is looked at.
void cut_first_losses(LineChart& chart) {
  std::vector<double> values;
  for (const auto& series : chart.series) {
    for (const auto& point : series.points) values.push_back(point.y);
  }
  if (values.size() < 20) return;
  std::sort(values.begin(), values.end());
  const double low = values.front();
  const double high = values[values.size() * 98 / 100];
  chart.y_min = low - 0.05 * (high - low);
  chart.y_max = high + 0.05 * (high - low);
}

/// From 0 up, with room for labels above the lines.
void leave_room(LineChart& chart) {
  double high = 0;
  for (const auto& series : chart.series) {
    for (const auto& point : series.points) high = std::max(high, point.y);
  }
  chart.y_min = 0;
  if (high > 0) chart.y_max = 1.12 * high;
}

}  // namespace

report::Table comparison_table(const std::vector<ReportedRun>& runs) {
  report::Table table;
  table.header = {""};
  for (const auto& run : runs) table.header.push_back(run.name);
  // Rows that say nothing about any of the runs are left out.
  const auto row = [&](const std::string& name, const auto& cell) {
    std::vector<std::string> cells = {name};
    for (const auto& run : runs) cells.push_back(cell(run));
    if (std::any_of(cells.begin() + 1, cells.end(), [](const auto& text) { return text != "-"; })) {
      table.rows.push_back(cells);
    }
  };
  const auto speed = [](const ReportedRun& run, const std::string& attention) -> std::optional<double> {
    const auto stage = find_stage(run, attention);
    return stage ? std::optional(stage->tokens_per_second) : std::nullopt;
  };
  const ReportedRun* const dense = find_dense_run(runs);
  row("tokens trained on", [](const ReportedRun& run) {
    const auto& steps = run.metrics.steps;
    return steps.empty() ? "0" : report::short_number(static_cast<double>(steps.back().tokens));
  });
  for (const std::string attention : {"lighthouse", "dense"}) {
    row("tokens/s, " + std::string(attention == "dense" ? "dense" : "Lighthouse") + " stage",
        [&](const ReportedRun& run) {
          const auto value = speed(run, attention);
          return value ? report::short_number(*value) : "-";
        });
  }
  row("Lighthouse stage over the dense run", [&](const ReportedRun& run) {
    const auto value = speed(run, "lighthouse");
    if (!value || dense == nullptr) return std::string("-");
    // Of the same steps, since runs that take turns share what the machine did at the time.
    const auto is_before = [](const StepRecord& one, const StepRecord& other) { return one.step < other.step; };
    std::vector<StepRecord> steps;
    for (const auto& step : run.metrics.steps) {
      if (step.attention == "lighthouse") steps.push_back(step);
    }
    std::vector<StepRecord> same;
    std::set_intersection(dense->metrics.steps.begin(), dense->metrics.steps.end(), steps.begin(), steps.end(),
                          std::back_inserter(same), is_before);
    if (same.empty()) return std::string("-");
    return number("%.2fx", *value / train::summarize_stages(same).front().tokens_per_second);
  });
  row("training time, all stages", [](const ReportedRun& run) { return clock_text(training_seconds(run)); });
  row("validation loss at the switch, Lighthouse", [](const ReportedRun& run) {
    const auto* at_switch = find_switch(run);
    return at_switch == nullptr ? "-" : number("%.4f", *at_switch->lighthouse_loss);
  });
  row("validation loss at the switch, dense", [](const ReportedRun& run) {
    const auto* at_switch = find_switch(run);
    return at_switch == nullptr ? "-" : number("%.4f", at_switch->dense_loss);
  });
  row("jump at the switch (nats)", [](const ReportedRun& run) {
    const auto* at_switch = find_switch(run);
    return at_switch == nullptr ? "-" : number("%+.4f", at_switch->dense_loss - *at_switch->lighthouse_loss);
  });
  row("validation loss at the end", [](const ReportedRun& run) {
    const auto& validations = run.metrics.validations;
    return validations.empty() ? "-" : number("%.4f", validations.back().dense_loss);
  });
  row("dense run's loss at the same training time", [&](const ReportedRun& run) {
    if (dense == nullptr || &run == dense) return std::string("-");
    return number_or_dash("%.4f", loss_at(*dense, training_seconds(run), seconds_of));
  });
  row("dense run's loss after the same tokens", [&](const ReportedRun& run) {
    if (dense == nullptr || &run == dense || run.metrics.steps.empty()) return std::string("-");
    const auto tokens = static_cast<double>(run.metrics.steps.back().tokens);
    return number_or_dash("%.4f", loss_at(*dense, tokens, [](const ValidationRecord& record) {
                            return static_cast<double>(record.tokens);
                          }));
  });
  return table;
}

report::Table stage_table(const std::vector<ReportedRun>& runs) {
  report::Table table{
      {"run", "stage", "attention", "steps", "tokens", "tokens/s", "S/N", "time", "dense loss", "Lighthouse loss"}, {}};
  for (const auto& run : runs) {
    for (const auto& stage : train::summarize_stages(run.metrics.steps)) {
      std::optional<double> dense;
      std::optional<double> lighthouse;
      for (const auto& validation : run.metrics.validations) {
        if (validation.stage != stage.name) continue;
        dense = validation.dense_loss;
        lighthouse = validation.lighthouse_loss;
      }
      table.rows.push_back({run.name, stage.name, stage.attention, std::to_string(stage.steps),
                            report::short_number(static_cast<double>(stage.tokens)),
                            report::short_number(stage.tokens_per_second), number("%.3f", stage.retained_fraction),
                            clock_text(stage.seconds), number_or_dash("%.4f", dense),
                            number_or_dash("%.4f", lighthouse)});
    }
  }
  return table;
}

std::vector<std::string> skipped_notes(const std::vector<ReportedRun>& runs) {
  std::vector<std::string> notes;
  for (const auto& run : runs) {
    const auto& steps = run.metrics.steps;
    const int64_t count = train::count_skipped(steps);
    if (count == 0) continue;
    notes.push_back(run.name + ": " + std::to_string(count) + " of " + std::to_string(steps.back().step) +
                    " steps were skipped, since their loss or gradient was not finite.");
  }
  return notes;
}

void add_runs(report::HtmlPage& page, const std::vector<ReportedRun>& runs) {
  page.table(comparison_table(runs));
  page.heading("Loss");
  const auto loss = [](const StepRecord& step) { return step.loss; };
  LineChart over_tokens =
      step_chart(runs, "Training loss over tokens, running mean", "nats per token", Over::kTokens, loss, true);
  LineChart over_time =
      step_chart(runs, "Training loss over training time, running mean", "nats per token", Over::kSeconds, loss, true);
  cut_first_losses(over_tokens);
  cut_first_losses(over_time);
  page.charts({validation_chart(runs, Over::kTokens), validation_chart(runs, Over::kSeconds), over_tokens, over_time});
  page.paragraph(
      "Validation losses are on held-out text, under dense attention. A training loss is that of the stage's own "
      "attention.");
  page.heading("Speed and schedule");
  LineChart speed = step_chart(runs, "Tokens per second", "tokens/s", Over::kTokens,
                               [](const StepRecord& step) { return step.tokens_per_second; });
  LineChart share = step_chart(runs, "Share of the sequence that attention sees", "S / N", Over::kTokens,
                               [](const StepRecord& step) { return step.retained_fraction; });
  LineChart rate = step_chart(runs, "Learning rate", "learning rate", Over::kTokens,
                              [](const StepRecord& step) { return step.learning_rate; });
  for (LineChart* chart : {&speed, &share, &rate}) leave_room(*chart);
  page.charts({speed, share, rate,
               step_chart(runs, "Norm of the gradient, before clipping", "norm", Over::kTokens,
                          [](const StepRecord& step) { return step.gradient_norm; })});
  page.heading("Stages");
  page.table(stage_table(runs));
  for (const auto& note : skipped_notes(runs)) page.paragraph(note);
}

}  // namespace lighthouse::cli
