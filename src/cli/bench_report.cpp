#include "cli/bench_report.h"

#include <algorithm>

#include "cli/bench_charts.h"
#include "cli/number_text.h"
#include "text/number_text.h"

namespace lighthouse::cli {
namespace {

using analysis::LayerResult;
using analysis::LengthResult;

/// Three figures of a time, whatever its size.
std::string ms_text(double ms) { return number(ms < 10 ? "%.2f" : ms < 1000 ? "%.1f" : "%.0f", ms); }

std::string megabytes(int64_t bytes) { return number("%.1f", static_cast<double>(bytes) / 1e6); }

std::vector<std::string> case_row(const LengthResult& length, const LayerResult& layer) {
  const auto& dense = length.dense;
  const auto of_dense = [&](const auto& text) { return dense ? text(*dense) : std::string("-"); };
  const Geometry& g = layer.geometry;
  return {std::to_string(length.num_tokens),
          std::to_string(g.retained_length()),
          std::to_string(g.top_k()),
          std::to_string(g.num_levels()),
          std::to_string(g.pooling_factor()),
          ms_text(layer.layer.forward_ms),
          of_dense([](const auto& d) { return ms_text(d.times.forward_ms); }),
          ms_text(layer.layer.forward_backward_ms),
          of_dense([](const auto& d) { return ms_text(d.times.forward_backward_ms); }),
          of_dense([&](const auto& d) {
            return number("%.1fx", d.times.forward_backward_ms / layer.layer.forward_backward_ms);
          }),
          ms_text(layer.inner.forward_backward_ms),
          number("%.1f%%", 100 * layer.beside_ms / layer.inner.forward_backward_ms),
          megabytes(layer.peak_bytes),
          of_dense([](const auto& d) { return megabytes(d.peak_bytes); }),
          of_dense([](const auto& d) { return std::to_string(d.repeats); })};
}

/// What the longest length says.
std::string bench_result_text(const BenchReport& report) {
  const LengthResult& longest = report.lengths.back();
  const LayerResult& layer = longest.layers.front();
  const std::string start = "At " + grouped(longest.num_tokens) + " tokens one layer of Lighthouse attention takes " +
                            report::short_duration(layer.layer.forward_backward_ms) + ", forward and backward";
  if (!longest.dense) return start + ". Dense attention was not measured.";
  const double dense = longest.dense->times.forward_backward_ms;
  return start + ", and dense attention " + report::short_duration(dense) + ": Lighthouse is " +
         beside_dense_text(dense, layer.layer.forward_backward_ms) + ".";
}

}  // namespace

std::string bench_setting_text(const BenchReport& report) {
  const auto& e = report.provenance;
  return e.cpu + ", " + threads_text(report.provenance) + ", " + e.instruction_set + "; lighthouse " + e.lighthouse +
         ", torch " + e.torch + inner_kernel_text(e) + ", commit " + e.commit + ", " + e.date + "; " + layer_text(report.setting) + ".";
}

std::string bench_legend_text(const BenchReport& report, bool full_names) {
  return "Times in ms, medians of " + text::count_of(report.setting.repeats, "iteration") +
         ", dense and Lighthouse in turns; runs: of dense attention. " +
         (full_names ? "" : "\"dense\" is its figure for the column before. ") +
         "fwd: the forward part of the iterations. ratio: dense over Lighthouse, forward and backward. inner: "
         "the "
         "attention call on the S gathered rows. beside: the layer's time less the inner call's, over the inner "
         "call's. "
         "peak: the most bytes of tensors that forward and backward held above their inputs, output and gradients "
         "included.";
}

report::Table bench_table(const BenchReport& report) {
  // A figure of dense attention follows the one of Lighthouse.
  report::Table table{{"N", "S", "k", "L", "p", "fwd", "dense", "fwd+bwd", "dense", "ratio", "inner", "beside",
                       "peak MB", "dense", "runs"},
                      {}};
  for (const auto& length : report.lengths) {
    for (const auto& layer : length.layers) table.rows.push_back(case_row(length, layer));
  }
  return table;
}

report::Table bench_stage_table(const BenchReport& report) {
  report::Table table{{"N", "L", "p", "k", "copy GB/s"}, {}};
  for (const auto& length : report.lengths) {
    for (const auto& layer : length.layers) {
      const Geometry& g = layer.geometry;
      std::vector<std::string> row = {std::to_string(length.num_tokens), std::to_string(g.num_levels()),
                                      std::to_string(g.pooling_factor()), std::to_string(g.top_k()),
                                      number("%.1f", layer.copy_bytes_per_second / 1e9)};
      for (const auto& stage : layer.stages) {
        if (table.rows.empty()) table.header.push_back(stage.name);
        row.push_back(number("%.2f", stage.ms) + number(" (%.2fx)", stage.ms / stage.floor_ms));
      }
      table.rows.push_back(row);
    }
  }
  return table;
}

std::string bench_stage_legend_text() {
  return "Stages: ms, and how many times their floor that is. The floor is the time of the bytes that a stage must "
         "read "
         "and write at the speed of a large copy in the same run; that copy runs before every stage and leaves nothing "
         "of it in the caches.";
}

std::string grouped(int64_t count) {
  std::string text = std::to_string(count);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<size_t>(at), ",");
  return text;
}

std::string beside_dense_text(double dense_ms, double layer_ms) {
  const double ratio = dense_ms / layer_ms;
  if (ratio < 1) return "slower than dense attention, by a factor of " + number("%.2f", 1 / ratio);
  return number(ratio < 10 ? "%.2f" : "%.1f", ratio) + " times as fast as dense attention";
}

std::string take_out_constants(report::Table& table, size_t begin, size_t end) {
  std::string said;
  if (table.rows.size() < 2) return said;
  size_t column = begin;
  for (size_t i = begin; i < end; ++i) {
    const std::string& value = table.rows.front()[column];
    if (!std::all_of(table.rows.begin(), table.rows.end(), [&](const auto& row) { return row[column] == value; })) {
      column += 1;
      continue;
    }
    said += (said.empty() ? "" : ", ") + table.header[column] + " " + value;
    const auto at = static_cast<std::ptrdiff_t>(column);
    table.header.erase(table.header.begin() + at);
    for (auto& row : table.rows) row.erase(row.begin() + at);
  }
  return said;
}

void write_bench_page(const std::filesystem::path& path, const BenchReport& report) {
  report::HtmlPage page("Lighthouse attention beside dense attention");
  page.lead(bench_result_text(report));
  page.charts(bench_charts(report));
  for (const auto& sentence : report.skipped) page.paragraph(sentence);
  report::Table cases = bench_table(report);
  // A page has room to name every column in full.
  cases.header = {"N",
                  "S",
                  "k",
                  "L",
                  "p",
                  "fwd ms",
                  "dense fwd ms",
                  "fwd+bwd ms",
                  "dense fwd+bwd ms",
                  "ratio",
                  "inner ms",
                  "beside",
                  "peak MB",
                  "dense peak MB",
                  "runs"};
  const std::string constants = take_out_constants(cases, 1, 5);
  page.heading("Times and memory");
  page.table(cases);
  page.paragraph((constants.empty() ? "" : "In every row: " + constants + ". ") +
                 bench_legend_text(report, /*full_names=*/true));
  report::Table stages = bench_stage_table(report);
  take_out_constants(stages, 1, 4);
  page.heading("Stages");
  page.table(stages);
  page.paragraph(bench_stage_legend_text());
  page.heading("How this was measured");
  page.paragraph(bench_setting_text(report));
  page.write(path);
}

}  // namespace lighthouse::cli
