#include "cli/demo_report.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "cli/progress.h"

namespace lighthouse::cli {
namespace {

using report::LineChart;
using report::Point;
using report::Series;

std::string number(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), pattern, value);
  return text;
}

const train::StageResult* find_stage(const DemoRun& run, const std::string& attention) {
  for (const auto& stage : run.result.stages) {
    if (stage.attention == attention) return &stage;
  }
  return nullptr;
}

/// The end of the Lighthouse stage, where both losses were taken at the same weights.
const train::ValidationRecord* find_switch(const DemoRun& run) {
  for (const auto& validation : run.result.validations) {
    if (validation.stage_end && validation.lighthouse_loss) return &validation;
  }
  return nullptr;
}

double final_loss(const DemoRun& run) { return run.result.validations.back().dense_loss; }

/// The run's validation loss when its training had taken `seconds`, between validations by a straight line.
std::optional<double> loss_at(const DemoRun& run, double seconds) {
  const auto& validations = run.result.validations;
  for (size_t i = 1; i < validations.size(); ++i) {
    const auto& before = validations[i - 1];
    const auto& after = validations[i];
    if (before.seconds > seconds || after.seconds < seconds || after.seconds <= before.seconds) continue;
    const double part = (seconds - before.seconds) / (after.seconds - before.seconds);
    return before.dense_loss + part * (after.dense_loss - before.dense_loss);
  }
  return std::nullopt;
}

std::string stage_speed(const DemoRun& run, const std::string& attention) {
  const auto* stage = find_stage(run, attention);
  return stage == nullptr ? "-" : report::short_number(stage->tokens_per_second);
}

/// Axis of a chart of validation losses.
enum class Over { kTokens, kSeconds };

LineChart loss_chart(const std::vector<DemoRun>& runs, Over over) {
  const bool tokens = over == Over::kTokens;
  const auto position = [&](const train::ValidationRecord& record) {
    return tokens ? static_cast<double>(record.tokens) : record.seconds;
  };
  LineChart chart;
  chart.title = tokens ? "Validation loss over tokens" : "Validation loss over training time";
  chart.x_label = tokens ? "tokens" : "seconds of training";
  chart.y_label = "nats per byte, dense attention";
  for (size_t i = 0; i < runs.size(); ++i) {
    Series series{.name = runs[i].name, .points = {}, .color = static_cast<int>(i), .dashed = false, .markers = true};
    for (const auto& record : runs[i].result.validations)
      series.points.push_back({position(record), record.dense_loss});
    chart.series.push_back(std::move(series));
    const auto* at_switch = find_switch(runs[i]);
    // All runs switch after the same tokens: one mark says it.
    if (at_switch == nullptr || (tokens && !chart.marks.empty())) continue;
    chart.marks.push_back({position(*at_switch), "switch to dense", static_cast<int>(i)});
  }
  return chart;
}

template <typename Value>
LineChart step_chart(const std::vector<DemoRun>& runs, const std::string& title, const std::string& y_label,
                     const Value& value) {
  LineChart chart;
  chart.title = title;
  chart.x_label = "tokens";
  chart.y_label = y_label;
  for (size_t i = 0; i < runs.size(); ++i) {
    Series series{.name = runs[i].name, .points = {}, .color = static_cast<int>(i)};
    for (const auto& step : runs[i].result.steps)
      series.points.push_back({static_cast<double>(step.tokens), value(step)});
    chart.series.push_back(std::move(series));
  }
  return chart;
}

}  // namespace

report::Table demo_table(const std::vector<DemoRun>& runs) {
  report::Table table;
  table.header = {""};
  for (const auto& run : runs) table.header.push_back(run.name);
  const auto row = [&](const std::string& name, const auto& cell) {
    std::vector<std::string> cells = {name};
    for (const auto& run : runs) cells.push_back(cell(run));
    table.rows.push_back(cells);
  };
  const DemoRun& dense = runs.front();
  row("tokens trained on",
      [](const DemoRun& run) { return report::short_number(static_cast<double>(run.result.steps.back().tokens)); });
  row("tokens/s, Lighthouse stage", [](const DemoRun& run) { return stage_speed(run, "lighthouse"); });
  row("tokens/s, dense stage", [](const DemoRun& run) { return stage_speed(run, "dense"); });
  row("Lighthouse stage over the dense run", [&](const DemoRun& run) {
    const auto* stage = find_stage(run, "lighthouse");
    if (stage == nullptr) return std::string("-");
    return number("%.2fx", stage->tokens_per_second / dense.result.stages.front().tokens_per_second);
  });
  row("training time, all stages", [](const DemoRun& run) { return clock_text(run.result.seconds); });
  row("validation loss at the switch, Lighthouse", [](const DemoRun& run) {
    const auto* at_switch = find_switch(run);
    return at_switch == nullptr ? std::string("-") : number("%.4f", *at_switch->lighthouse_loss);
  });
  row("validation loss at the switch, dense", [](const DemoRun& run) {
    const auto* at_switch = find_switch(run);
    return at_switch == nullptr ? std::string("-") : number("%.4f", at_switch->dense_loss);
  });
  row("jump at the switch (nats)", [](const DemoRun& run) {
    const auto* at_switch = find_switch(run);
    return at_switch == nullptr ? std::string("-")
                                : number("%+.4f", at_switch->dense_loss - *at_switch->lighthouse_loss);
  });
  row("validation loss at equal tokens", [](const DemoRun& run) { return number("%.4f", final_loss(run)); });
  row("  the dense run's at the same training time", [&](const DemoRun& run) {
    const auto loss = &run == &dense ? std::nullopt : loss_at(dense, run.result.seconds);
    return loss ? number("%.4f", *loss) : std::string("-");
  });
  return table;
}

void write_demo_page(const std::filesystem::path& path, const std::vector<DemoRun>& runs, const std::string& setting,
                     const std::string& sample) {
  report::HtmlPage page("Lighthouse: dense training beside Lighthouse and recovery");
  page.paragraph(setting);
  page.table(demo_table(runs));
  page.paragraph(
      "Losses are nats per byte on held-out text, under dense attention. Few tokens were trained on: these curves show "
      "speed and "
      "how the switch goes, not where long training ends.");
  page.heading("Loss");
  page.charts({loss_chart(runs, Over::kTokens), loss_chart(runs, Over::kSeconds)});
  page.heading("Speed and schedule");
  LineChart speed =
      step_chart(runs, "Tokens per second", "tokens/s", [](const auto& s) { return s.tokens_per_second; });
  speed.y_min = 0;
  page.charts({speed,
               step_chart(runs, "Training loss of each step", "nats per byte", [](const auto& s) { return s.loss; }),
               step_chart(runs, "Learning rate", "learning rate", [](const auto& s) { return s.learning_rate; }),
               step_chart(runs, "Share of the sequence that attention sees", "S / N",
                          [](const auto& s) { return s.retained_fraction; })});
  page.heading("A few lines from the recovered model, under dense attention");
  page.preformatted(sample);
  page.write(path);
}

}  // namespace lighthouse::cli
