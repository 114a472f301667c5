#include "cli/run_report.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

#include "cli/number_text.h"
#include "cli/run_charts.h"
#include "cli/run_figures.h"
#include "text/number_text.h"

namespace lighthouse::cli {
namespace {

using train::StepRecord;
using train::ValidationRecord;

std::string number_or_dash(const char* pattern, std::optional<double> value) {
  if (!value) return "-";
  return std::isfinite(*value) ? number(pattern, *value) : "not finite";
}

/// The end of the Lighthouse stage, where both losses were taken at the same weights.
const ValidationRecord* find_switch(const ReportedRun& run) {
  for (const auto& validation : run.metrics.validations) {
    if (validation.stage_end && validation.lighthouse_loss) return &validation;
  }
  return nullptr;
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
  row("training time, all stages", [](const ReportedRun& run) { return text::clock_text(training_seconds(run)); });
  row("validation loss at the switch, Lighthouse", [](const ReportedRun& run) {
    const auto* at_switch = find_switch(run);
    return at_switch == nullptr ? "-" : number_or_dash("%.4f", at_switch->lighthouse_loss);
  });
  row("validation loss at the switch, dense", [](const ReportedRun& run) {
    const auto* at_switch = find_switch(run);
    return at_switch == nullptr ? "-" : number_or_dash("%.4f", at_switch->dense_loss);
  });
  row("jump at the switch (nats)", [](const ReportedRun& run) {
    const auto* at_switch = find_switch(run);
    return at_switch == nullptr ? "-" : number_or_dash("%+.4f", at_switch->dense_loss - *at_switch->lighthouse_loss);
  });
  row("validation loss at the end", [](const ReportedRun& run) {
    const auto& validations = run.metrics.validations;
    return validations.empty() ? "-" : number_or_dash("%.4f", validations.back().dense_loss);
  });
  row("dense run's loss at the same training time", [&](const ReportedRun& run) {
    if (dense == nullptr || &run == dense) return std::string("-");
    return number_or_dash("%.4f", loss_at_time(*dense, training_seconds(run)));
  });
  row("dense run's loss after the same tokens", [&](const ReportedRun& run) {
    if (dense == nullptr || &run == dense || run.metrics.steps.empty()) return std::string("-");
    return number_or_dash("%.4f", loss_at_tokens(*dense, run.metrics.steps.back().tokens));
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
                            text::clock_text(stage.seconds), number_or_dash("%.4f", dense),
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
    notes.push_back(run.name + ": " + std::to_string(count) + " of " + text::count_of(steps.back().step, "step") +
                    (count == 1 ? " was" : " were") + " skipped, since the loss or the gradient was not finite.");
  }
  return notes;
}

void add_runs(report::HtmlPage& page, const std::vector<ReportedRun>& runs) {
  // The first sentences above the charts. Of many runs the others come below, so that the charts are not far down.
  const auto sentences = result_sentences(runs);
  constexpr size_t kAbove = 2;
  const size_t above = sentences.size() <= kAbove ? sentences.size() : 1;
  for (size_t i = 0; i < above; ++i) page.lead(sentences[i]);
  page.charts(validation_charts(runs));
  for (size_t i = above; i < sentences.size(); ++i) page.paragraph(sentences[i]);
  for (const auto& note : skipped_notes(runs)) page.paragraph(note);
  page.table(comparison_table(runs), "Results");
  page.heading("Training loss");
  page.charts(training_loss_charts(runs));
  page.paragraph(
      "Validation losses are on held-out text, under dense attention. A training loss is that of the stage's own "
      "attention.");
  page.heading("Speed and schedule");
  page.charts(schedule_charts(runs));
  page.heading("Stages");
  page.table(stage_table(runs));
}

}  // namespace lighthouse::cli
