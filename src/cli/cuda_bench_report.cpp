#include "cli/cuda_bench_report.h"

#include <algorithm>

#include "cli/bench_charts.h"
#include "cli/number_text.h"
#include "text/number_text.h"

namespace lighthouse::cli {
namespace {

using analysis::CudaResult;
using analysis::Figure;
using analysis::PassFigures;
using Row = std::vector<std::string>;
using Member = Figure PassFigures::*;

template <typename Text>
std::string text_of(const Figure& figure, const Text& text) {
  if (figure.value) return text(*figure.value);
  if (figure.missing == "not measured") return "-";
  return figure.missing == "out of memory" ? "no memory" : "failed";
}

std::string ms_text(const Figure& figure) {
  return text_of(figure, [](double ms) {
    return number(ms < 1 ? "%.4f" : ms < 10 ? "%.3f" : ms < 100 ? "%.2f" : ms < 1000 ? "%.1f" : "%.0f", ms);
  });
}

std::string with(const char* pattern, const Figure& figure, double unit = 1) {
  return text_of(figure, [&](double value) { return number(pattern, value / unit); });
}

std::string gigabytes(const Figure& figure) { return with("%.3f", figure, 1e9); }

const Row kCaseHeader = {"N", "S", "L", "p", "k", "rule", "layout"};

Row case_cells(const analysis::CudaCase& where) {
  const Geometry g = where.geometry();
  return {std::to_string(g.num_tokens()), std::to_string(g.retained_length()),
          std::to_string(g.num_levels()), std::to_string(g.pooling_factor()),
          std::to_string(g.top_k()),      where.causal_selection ? "causal" : "paper",
          name_of(where.layout)};
}

Row joined(Row row, const Row& more) {
  row.insert(row.end(), more.begin(), more.end());
  return row;
}

report::Table times_table(const CudaBenchReport& report, Member pass) {
  report::Table table{joined(kCaseHeader, {"layer ms", "inner ms", "dense ms", "FA2 ms", "limit ms", "dense/layer",
                                           "dense/limit", "share", "runs"}),
                      {}};
  for (const auto& r : report.results) {
    const Figure limit = limit_of(report.setting, r).*pass;
    table.rows.push_back(joined(
        case_cells(r.where),
        {ms_text(r.layer.*pass), ms_text(r.inner.*pass), ms_text(r.dense.*pass), ms_text(r.flash.*pass), ms_text(limit),
         with("%.1fx", ratio(r.dense.*pass, r.layer.*pass)), with("%.1fx", ratio(r.dense.*pass, limit)),
         with("%.1f%%", ratio(limit, r.layer.*pass), 0.01), std::to_string(r.repeats)}));
  }
  return table;
}

report::Table rates_table(const CudaBenchReport& report) {
  report::Table table{
      joined(kCaseHeader, {"fwd: layer", "inner", "dense", "FA2", "fwd+bwd: layer", "inner", "dense", "FA2"}), {}};
  for (const auto& r : report.results) {
    const Geometry g = r.where.geometry();
    const auto of = [&](const PassFigures& ms, int64_t rows) { return rates(report.setting, rows, ms); };
    const std::vector<PassFigures> all = {of(r.layer, g.retained_length()), of(r.inner, g.retained_length()),
                                          of(r.dense, g.num_tokens()), of(r.flash, g.num_tokens())};
    Row row = case_cells(r.where);
    for (const Member pass : {&PassFigures::forward, &PassFigures::forward_backward}) {
      for (const auto& figures : all) row.push_back(with("%.0f", figures.*pass));
    }
    table.rows.push_back(row);
  }
  return table;
}

report::Table memory_table(const CudaBenchReport& report) {
  report::Table table{joined(kCaseHeader, {"fwd: layer", "dense", "fwd+bwd: layer", "dense"}), {}};
  for (const auto& r : report.results) {
    table.rows.push_back(
        joined(case_cells(r.where),
               {gigabytes(r.layer_peak_bytes.forward), gigabytes(r.dense_peak_bytes.forward),
                gigabytes(r.layer_peak_bytes.forward_backward), gigabytes(r.dense_peak_bytes.forward_backward)}));
  }
  return table;
}

std::string stage_text(const CudaResult& result, const analysis::CudaStage& stage) {
  std::string text = ms_text(stage.ms);
  if (stage.bytes == 0 || !stage.ms.value) return text;
  const Figure floor = floor_ms(stage.bytes, result.copy_bytes_per_second);
  return text + " / " + ms_text(floor) + " (" + with("%.2fx", ratio(stage.ms, floor)) + ")";
}

report::Table stage_table(const CudaBenchReport& report) {
  report::Table table{{"N", "L", "p", "k", "rule", "layout", "copy GB/s"}, {}};
  // Where a case ran out of memory it has no stages.
  for (const auto& r : report.results) {
    if (table.header.size() > 7) break;
    for (const auto& stage : r.stages) table.header.push_back(stage.name);
  }
  for (const auto& r : report.results) {
    Row row = case_cells(r.where);
    row.erase(row.begin() + 1);
    row.push_back(with("%.0f", r.copy_bytes_per_second, 1e9));
    for (const auto& stage : r.stages) row.push_back(stage_text(r, stage));
    row.resize(table.header.size(), "-");
    table.rows.push_back(row);
  }
  return table;
}

report::Table graph_table(const analysis::GraphResult& graph) {
  const auto row = [&](const std::string& name, const Figure& ms) {
    return Row{name, ms_text(ms), with("%.1fx", ratio(graph.dense, ms))};
  };
  return {{"forward and backward", "ms", "dense over it"},
          {row("layer in a CUDA graph", graph.graph), row("layer", graph.layer), row("dense", graph.dense)}};
}

report::Table mode_table(const std::vector<analysis::ModeResult>& modes) {
  report::Table table{{"mode", "fwd ms", "fwd+bwd ms", "fwd peak GB", "fwd+bwd peak GB"}, {}};
  for (const auto& mode : modes) {
    table.rows.push_back({mode.deterministic ? "deterministic" : "default", ms_text(mode.ms.forward),
                          ms_text(mode.ms.forward_backward), gigabytes(mode.peak_bytes.forward),
                          gigabytes(mode.peak_bytes.forward_backward)});
  }
  return table;
}

std::string place_of(const analysis::CudaCase& where) {
  return "N=" + std::to_string(where.num_tokens) + " " + where.name();
}

void note(std::vector<std::string>& sentences, const std::string& what, const Figure& figure) {
  if (figure.value || figure.missing == "not measured") return;
  sentences.push_back(what + ": " + figure.missing + ".");
}

void note(std::vector<std::string>& sentences, const std::string& what, const PassFigures& figures) {
  note(sentences, what + ", forward", figures.forward);
  note(sentences, what + ", forward and backward", figures.forward_backward);
}

/// What the longest length of the first pyramid, rule and layout says that both were measured at.
std::string cuda_result_text(const CudaBenchReport& report) {
  const CudaResult* longest = nullptr;
  for (const auto& r : report.results) {
    const bool first = r.where.name() == report.results.front().where.name();
    const bool measured = r.layer.forward_backward.value && r.dense.forward_backward.value;
    if (first && measured && (longest == nullptr || r.where.num_tokens > longest->where.num_tokens)) longest = &r;
  }
  if (longest == nullptr) return "";
  const double layer = *longest->layer.forward_backward.value;
  const double dense = *longest->dense.forward_backward.value;
  return "At " + grouped(longest->where.num_tokens) + " tokens one layer of Lighthouse attention takes " +
         report::short_duration(layer) + ", forward and backward, and dense attention " +
         report::short_duration(dense) + ": Lighthouse is " + beside_dense_text(dense, layer) + " (" + report.cuda.gpu +
         ").";
}

/// Each column with its group's name, which a header for terminals has only once: "fwd: layer", "inner".
Row spelled_out(Row header) {
  std::string group;
  for (auto& name : header) {
    const size_t colon = name.find(": ");
    if (colon != std::string::npos) {
      group = name.substr(0, colon) + " ";
      name = name.substr(colon + 2);
    }
    name = group + name;
  }
  return header;
}

}  // namespace

std::string cuda_setting_text(const CudaBenchReport& report) {
  const auto& p = report.provenance;
  const auto& s = report.setting;
  return report.cuda.gpu + ", compute capability " + report.cuda.compute_capability + ", " +
         text::bytes_text(report.cuda.memory_bytes) + "; lighthouse " + p.lighthouse + ", torch " + p.torch +
         ", cuDNN " + report.cuda.cudnn + inner_kernel_text(p) + ", commit " + p.commit + ", " + p.date + "; " +
         layer_text(s) + "; " + report.command;
}

std::string cuda_legend_text() {
  return "Medians by device events, all in turns in one run; short calls several in a row, a large copy before each "
         "sample. layer: lighthouse::attention, eager, score and selection included. inner: dense_attention on the S "
         "gathered rows alone. dense: dense_attention on N rows. FA2: FlashAttention-2 on N rows. limit: inner and the "
         "floors of the stages beside it; a floor is the time of the bytes that a stage must read and write, at the "
         "speed of the copy. share: limit over layer. TFLOP/s: causal operations, 2 B H D N^2 forward and 2.5 times "
         "that backward; S in place of N for layer and inner. Stages: ms / floor (factor); what fits the GPU's cache "
         "may be faster than its floor. Memory: the most that a call holds beside its inputs.";
}

std::vector<std::string> cuda_failures(const CudaBenchReport& report) {
  std::vector<std::string> sentences;
  for (const auto& r : report.results) {
    const std::string place = place_of(r.where) + ", ";
    note(sentences, place + "layer", r.layer);
    note(sentences, place + "inner call", r.inner);
    note(sentences, place + "dense", r.dense);
    note(sentences, place + "FlashAttention-2", r.flash);
    note(sentences, place + "memory of the layer", r.layer_peak_bytes);
    note(sentences, place + "memory of dense", r.dense_peak_bytes);
    for (const auto& stage : r.stages) note(sentences, place + stage.name, stage.ms);
  }
  if (!report.extras) return sentences;
  const auto& graph = report.extras->graph;
  note(sentences, place_of(graph.where) + ", layer in a CUDA graph", graph.graph);
  note(sentences, place_of(graph.where) + ", layer beside the CUDA graph", graph.layer);
  note(sentences, place_of(graph.where) + ", dense beside the CUDA graph", graph.dense);
  for (const auto& mode : report.extras->modes) {
    const std::string what =
        place_of(report.extras->long_case) + (mode.deterministic ? ", deterministic mode" : ", default mode");
    note(sentences, what, mode.ms);
    note(sentences, what + ", memory", mode.peak_bytes);
  }
  return sentences;
}

std::vector<TitledTable> cuda_tables(const CudaBenchReport& report) {
  std::vector<TitledTable> tables;
  if (!report.results.empty()) {
    tables = {{"Forward, without gradients", times_table(report, &PassFigures::forward)},
              {"Forward and backward", times_table(report, &PassFigures::forward_backward)},
              {"TFLOP/s", rates_table(report)},
              {"Peak memory beside the inputs, GB", memory_table(report)},
              {"Stages: ms / floor (factor)", stage_table(report)}};
  }
  if (report.extras) {
    const auto& extras = *report.extras;
    tables.push_back({"CUDA graph: " + place_of(extras.graph.where), graph_table(extras.graph)});
    tables.push_back({"Deterministic mode: " + place_of(extras.long_case), mode_table(extras.modes)});
  }
  return tables;
}

std::string cuda_text(const CudaBenchReport& report) {
  std::string text = cuda_setting_text(report) + "\n";
  for (const auto& [title, table] : cuda_tables(report)) {
    text.append("\n").append(title).append("\n").append(report::to_text(table));
  }
  text.append("\n").append(cuda_legend_text()).append("\n");
  for (const auto& sentence : cuda_failures(report)) text += sentence + "\n";
  return text;
}

void write_cuda_page(const std::filesystem::path& path, const CudaBenchReport& report) {
  report::HtmlPage page("Lighthouse attention beside dense attention, on a GPU");
  const std::string result = cuda_result_text(report);
  if (!result.empty()) page.lead(result);
  if (!report.results.empty()) page.charts({cuda_times_chart(report), cuda_ratio_chart(report)});
  for (const auto& sentence : cuda_failures(report)) page.paragraph(sentence);
  for (const auto& sentence : report.skipped) page.paragraph(sentence);
  for (auto [title, table] : cuda_tables(report)) {
    page.heading(title);
    std::string constants;
    const auto layout = std::find(table.header.begin(), table.header.end(), "layout");
    if (layout != table.header.end())
      constants = take_out_constants(table, 1, static_cast<size_t>(layout - table.header.begin()) + 1);
    table.header = spelled_out(table.header);
    page.table(table);
    if (!constants.empty()) page.paragraph("In every row: " + constants + ".");
  }
  page.heading("How this was measured");
  page.paragraph(cuda_setting_text(report));
  page.paragraph(cuda_legend_text());
  page.write(path);
}

}  // namespace lighthouse::cli
