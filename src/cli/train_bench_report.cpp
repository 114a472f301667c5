#include "cli/train_bench_report.h"

#include <algorithm>

#include "cli/number_text.h"
#include "report/html_page.h"
#include "text/number_text.h"

namespace lighthouse::cli {
namespace {

using analysis::StageBenchmark;
using analysis::TrainBenchmark;

const StageBenchmark* find_stage_of(const TrainBenchmark& result, bool lighthouse) {
  const auto found = std::find_if(result.stages.begin(), result.stages.end(),
                                  [&](const auto& stage) { return stage.lighthouse == lighthouse; });
  return found == result.stages.end() ? nullptr : &*found;
}

/// How many times faster the schedule's tokens go by than at a dense run's speed.
double speedup(const TrainBenchmark& result, double dense_tokens_per_second) {
  double steps = 0;
  double time = 0;  // in steps at one token per second
  for (const auto& stage : result.stages) {
    steps += static_cast<double>(stage.steps);
    time += static_cast<double>(stage.steps) / stage.tokens_per_second;
  }
  return steps / dense_tokens_per_second / time;
}

/// What the schedule gains, and over what.
std::vector<std::string> projections(const TrainBenchReport& report) {
  std::vector<std::string> sentences;
  const auto say = [&](double dense_tokens_per_second, const std::string& what) {
    sentences.push_back("The schedule is " + number("%.2f", speedup(report.result, dense_tokens_per_second)) +
                        " times as fast as " + what + ", projected from the times of its stages.");
  };
  if (const StageBenchmark* dense = find_stage_of(report.result, false))
    say(dense->tokens_per_second, "all of its steps dense");
  if (report.baseline) say(*report.baseline, "a dense run at " + number("%.0f", *report.baseline) + " tokens/s");
  return sentences;
}

report::Table stages_table(const TrainBenchmark& result) {
  report::Table table{
      {"stage", "attention", "ms per step", "tokens/s", "of the products' speed", "peak memory", "reserved"}, {}};
  const auto memory = [](double bytes) { return bytes > 0 ? text::bytes_text(bytes) : "-"; };  // 0: not measured
  for (const auto& stage : result.stages) {
    table.rows.push_back({stage.name, stage.lighthouse ? "lighthouse" : "dense", number("%.1f", stage.step_ms),
                          number("%.0f", stage.tokens_per_second), number("%.1f%%", 100 * stage.flops_utilisation),
                          memory(stage.peak_bytes), memory(stage.peak_reserved_bytes)});
  }
  return table;
}

report::Table parts_table(const StageBenchmark& stage) {
  report::Table table{{"part", "ms", "share", "floor ms", "factor"}, {}};
  for (const auto& part : stage.parts) {
    const bool floor = part.floor_ms > 0;
    const double share = stage.watched_step_ms > 0 ? part.ms / stage.watched_step_ms : 0;
    table.rows.push_back({part.name, number("%.1f", part.ms), number("%.1f%%", 100 * share),
                          floor ? number("%.1f", part.floor_ms) : "-",
                          floor ? number("%.2f", part.ms / part.floor_ms) : "-"});
    table.bars.push_back(share);
  }
  return table;
}

std::string parts_title(const StageBenchmark& stage) { return "Parts of a step of stage " + stage.name; }

std::string parts_note(const StageBenchmark& stage) {
  return "Forward and backward together, " + number("%.1f", stage.watched_step_ms) + " ms while watched";
}

std::string roofs_text(const TrainBenchmark& result) {
  return "a large product: " + text::scaled(result.product_flops_per_second, "FLOP/s") +
         "; a large copy: " + text::scaled(result.copy_bytes_per_second, "B/s");
}

constexpr const char* kHowTaken =
    "Steps are of one batch, on random tokens; floors are flops at the large product's speed and bytes at the large "
    "copy's.";

std::string speeds_sentence(const TrainBenchmark& result) {
  const auto speed = [](const StageBenchmark* stage) {
    return report::short_number(stage->tokens_per_second) + " tokens/s";
  };
  const StageBenchmark* const lighthouse = find_stage_of(result, true);
  const StageBenchmark* const dense = find_stage_of(result, false);
  if (lighthouse == nullptr) return "Dense steps go at " + speed(dense) + ".";
  return "Lighthouse steps go at " + speed(lighthouse) + (dense == nullptr ? "" : ", dense steps at " + speed(dense)) +
         ".";
}

}  // namespace

std::string train_bench_text(const TrainBenchReport& report) {
  std::string text = "\n" + report.config + " on " + report.device + "\n" + roofs_text(report.result) + "\n\n" +
                     report::to_text(stages_table(report.result));
  for (const auto& stage : report.result.stages)
    text += "\n" + parts_title(stage) + ". " + parts_note(stage) + "\n" + report::to_text(parts_table(stage));
  text += "\n";
  for (const auto& sentence : projections(report)) text += sentence + "\n";
  return text + kHowTaken + "\n";
}

void write_train_bench_page(const std::filesystem::path& path, const TrainBenchReport& report) {
  report::HtmlPage page("How fast " + report.config + " trains");
  std::string result;
  for (const auto& sentence : projections(report)) result += sentence + " ";
  page.lead(result + speeds_sentence(report.result));
  page.heading("Stages");
  page.table(stages_table(report.result));
  for (const auto& stage : report.result.stages) {
    page.heading(parts_title(stage));
    page.paragraph(parts_note(stage) + ".");
    page.table(parts_table(stage));
  }
  page.heading("How this was measured");
  page.paragraph(report.config + " on " + report.device + "; " + roofs_text(report.result) + ".");
  page.paragraph(kHowTaken);
  page.write(path);
}

}  // namespace lighthouse::cli
