#include "cli/eval_report.h"

#include <algorithm>
#include <cmath>

#include "cli/bench_json.h"
#include "cli/number_text.h"
#include "report/heat_matrix.h"
#include "report/html_page.h"
#include "text/number_text.h"

namespace lighthouse::cli {
namespace {

using analysis::Interval;
using report::Table;

std::string to_text(const Interval& interval, const char* pattern) {
  if (std::isnan(interval.low)) return "-";
  return number(pattern, interval.low) + " to " + number(pattern, interval.high);
}

std::string figure(const char* pattern, double value) {
  return std::isfinite(value) ? number(pattern, value) : "not finite";
}

double bits(double nats) { return nats / std::log(2.0); }

std::string unit(const Evaluation& e) { return e.bytes ? "bits per byte" : "bits per token"; }

std::string describe(const Evaluation& e) {
  return e.run + ", dense attention, " + e.device + ", " + e.precision + ", seed " + std::to_string(e.seed) + ".";
}

std::string loss_text(const analysis::PositionLoss& loss) {
  return "Held-out loss by position, nats per token, over " + text::count_of(loss.sequences, "sequence") +
         ". 95% intervals are Student's t over the means of single sequences.";
}

std::string retrieval_text() {
  return "Retrieval: one digit in random letters, asked for at the end; the share of right answers among ten digits. "
         "Chance is 0.10. 95% intervals are Wilson's.";
}

std::string copy_text(const Evaluation& e) {
  return "Copying: a string of " + std::to_string(e.copy_length) + " random letters, and again at the end; the share " +
         "of its bytes, from the third on, that are predicted. Chance is " + number("%.3f", analysis::kCopyChance) +
         ", at a loss of " + number("%.2f", -std::log(analysis::kCopyChance)) +
         " nats. 95% intervals are Wilson's, with a trial as one draw.";
}

Table loss_table(const Evaluation& e) {
  Table table{{"positions", "tokens", "loss", "95% interval", unit(e)}, {}};
  const auto add = [&](const std::string& name, const analysis::PositionBucket& bucket) {
    table.rows.push_back({name, std::to_string(bucket.count), figure("%.4f", bucket.loss.value),
                          to_text(bucket.loss.interval, "%.4f"), figure("%.4f", bits(bucket.loss.value))});
  };
  for (const auto& bucket : e.loss->buckets)
    add(std::to_string(bucket.begin) + "-" + std::to_string(bucket.end - 1), bucket);
  add("all", e.loss->overall);
  return table;
}

/// Lengths or depths of cells, each once, in their order.
template <typename Cell, typename Member>
std::vector<int64_t> values_of(const std::vector<Cell>& cells, Member member) {
  std::vector<int64_t> values;
  for (const auto& cell : cells) {
    if (std::find(values.begin(), values.end(), cell.*member) == values.end()) values.push_back(cell.*member);
  }
  return values;
}

/// Depths down, lengths across.
template <typename Cell>
Table grid_table(const std::vector<Cell>& cells) {
  Table table{{"depth"}, {}};
  const auto lengths = values_of(cells, &Cell::length);
  const auto depths = values_of(cells, &Cell::depth);
  for (const int64_t length : lengths) table.header.push_back(report::short_length(static_cast<double>(length)));
  for (size_t row = 0; row < depths.size(); ++row) {
    table.rows.push_back({std::to_string(depths[row]) + "%"});
    for (size_t column = 0; column < lengths.size(); ++column) {
      const Cell& cell = cells[column * depths.size() + row];
      table.rows.back().push_back(number("%.2f", cell.score()) + " (" + to_text(cell.interval(), "%.2f") + ")");
    }
  }
  return table;
}

template <typename Cell>
report::HeatMatrix grid_matrix(const std::string& title, const std::vector<Cell>& cells) {
  report::HeatMatrix matrix;
  matrix.title = title;
  matrix.note = "Depth down, length across.";
  const auto depths = values_of(cells, &Cell::depth);
  for (const int64_t depth : depths) matrix.labels.push_back(std::to_string(depth) + "%");
  for (const int64_t length : values_of(cells, &Cell::length))
    matrix.columns.push_back(report::short_length(static_cast<double>(length)));
  matrix.values.resize(depths.size());
  for (size_t i = 0; i < cells.size(); ++i) matrix.values[i % depths.size()].push_back(cells[i].score());
  return matrix;
}

std::string overall_line(const Evaluation& e) {
  const auto all = analysis::overall(e.retrieval);
  return "Overall: " + number("%.3f", all.score()) + " (" + to_text(all.interval(), "%.3f") + "), " +
         std::to_string(all.right) + " of " + std::to_string(all.trials) + ".";
}

std::string copy_line(const std::string& name, const analysis::CopyCell& cell) {
  return name + ": " + number("%.3f", cell.score()) + " (" + to_text(cell.interval(), "%.3f") + "), loss " +
         figure("%.3f", cell.loss().value) + " (" + to_text(cell.loss().interval, "%.3f") + "), " +
         text::count_of(static_cast<int64_t>(cell.shares.size()), "trial") + ".";
}

std::string untrained_line(const Evaluation& e) {
  return copy_line("Untrained weights, " + text::count_of(e.untrained->length, "token"), *e.untrained);
}

/// The figures of all that was taken, each beside what says nothing about a model.
std::string result_sentence(const Evaluation& e) {
  std::vector<std::string> parts;
  if (e.loss && std::isfinite(e.loss->overall.loss.value)) {
    parts.push_back("Held-out loss is " + number("%.3f", e.loss->overall.loss.value) + " nats per token (" +
                    number("%.3f ", bits(e.loss->overall.loss.value)) + unit(e) + ").");
  } else if (e.loss) {
    parts.push_back("Held-out loss is not finite.");
  }
  if (!e.retrieval.empty())
    parts.push_back("Retrieval finds " + number("%.0f%%", 100 * analysis::overall(e.retrieval).score()) +
                    " of the digits, where chance finds 10%.");
  if (!e.copy.empty())
    parts.push_back("Copying repeats " + number("%.0f%%", 100 * analysis::overall(e.copy).score()) +
                    " of the bytes, where chance repeats " + number("%.0f%%", 100 * analysis::kCopyChance) + ".");
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : " ") + part;
  return text;
}

/// Over the middles of the buckets, on a logarithmic axis.
report::LineChart loss_chart(const Evaluation& e) {
  report::LineChart chart;
  chart.title = "Held-out loss by position";
  chart.x_label = "position (middle of the bucket)";
  chart.y_label = "nats per token";
  chart.x_scale = report::Scale::kLog;
  chart.x_format = report::short_length;
  report::Series mean{.name = "mean", .points = {}, .color = 0, .markers = true};
  // Two lines, one name in the legend.
  report::Series low{.name = "95% interval", .points = {}, .color = 1, .dashed = true};
  report::Series high{.name = "", .points = {}, .color = 1, .dashed = true};
  for (const auto& bucket : e.loss->buckets) {
    const double x = std::max(1.0, static_cast<double>(bucket.begin + bucket.end) / 2);
    mean.points.push_back({x, bucket.loss.value});
    low.points.push_back({x, bucket.loss.interval.low});
    high.points.push_back({x, bucket.loss.interval.high});
    if (bucket.begin > 0) chart.x_ticks.push_back(static_cast<double>(bucket.begin));
  }
  chart.series = {mean};
  if (e.loss->sequences > 1) {
    chart.series.push_back(std::move(low));
    chart.series.push_back(std::move(high));
  }
  return chart;
}

/// NaN is null.
Json to_json(const Interval& interval) {
  if (std::isnan(interval.low)) return nullptr;
  return Json::array({interval.low, interval.high});
}

Json to_json(const analysis::PositionBucket& bucket, const Evaluation& e) {
  return {{"begin", bucket.begin},
          {"end", bucket.end},
          {"tokens", bucket.count},
          {"loss", bucket.loss.value},
          {"interval", to_json(bucket.loss.interval)},
          {e.bytes ? "bits_per_byte" : "bits_per_token", bits(bucket.loss.value)}};
}

Json to_json(const analysis::RetrievalCell& cell) {
  return {
      {"right", cell.right}, {"trials", cell.trials}, {"score", cell.score()}, {"interval", to_json(cell.interval())}};
}

Json to_json(const analysis::CopyCell& cell) {
  return {{"trials", cell.shares.size()},
          {"score", cell.score()},
          {"interval", to_json(cell.interval())},
          {"loss", cell.loss().value},
          {"loss_interval", to_json(cell.loss().interval)}};
}

template <typename Cell>
Json cells_json(const std::vector<Cell>& cells) {
  Json json = Json::array();
  for (const auto& cell : cells) {
    Json entry = {{"length", cell.length}, {"depth", cell.depth}};
    entry.update(to_json(cell));
    json.push_back(std::move(entry));
  }
  return json;
}

}  // namespace

void print_evaluation(std::ostream& out, const Evaluation& e) {
  out << describe(e) << "\n";
  if (e.loss) out << "\n" << loss_text(*e.loss) << "\n\n" << report::to_text(loss_table(e));
  if (!e.retrieval.empty()) {
    out << "\n" << retrieval_text() << "\n\n" << report::to_text(grid_table(e.retrieval)) << overall_line(e) << "\n";
  }
  if (!e.copy.empty()) {
    out << "\n"
        << copy_text(e) << "\n\n"
        << report::to_text(grid_table(e.copy)) << copy_line("Overall", analysis::overall(e.copy)) << "\n";
    if (e.untrained) out << untrained_line(e) << "\n";
  }
}

void write_evaluation_page(const std::filesystem::path& path, const Evaluation& e) {
  report::HtmlPage page("Evaluation of " + e.run);
  page.lead(result_sentence(e));
  if (e.loss) {
    page.heading("Loss by position");
    page.charts({loss_chart(e)});
    page.table(loss_table(e));
    page.paragraph(loss_text(*e.loss));
  }
  if (!e.retrieval.empty()) {
    page.heading("Retrieval");
    page.paragraph(overall_line(e));
    page.html(report::to_html({grid_matrix("Right answers", e.retrieval)}));
    page.table(grid_table(e.retrieval));
    page.paragraph(retrieval_text());
  }
  if (!e.copy.empty()) {
    page.heading("Copying");
    page.paragraph(copy_line("Overall", analysis::overall(e.copy)));
    if (e.untrained) page.paragraph(untrained_line(e));
    page.html(report::to_html({grid_matrix("Bytes copied", e.copy)}));
    page.table(grid_table(e.copy));
    page.paragraph(copy_text(e));
  }
  page.heading("How this was taken");
  page.paragraph(describe(e) + " Lighthouse " + e.provenance.lighthouse + ", torch " + e.provenance.torch +
                 ", commit " + e.provenance.commit + ", " + e.provenance.date + ".");
  page.write(path);
}

std::string evaluation_json(const Evaluation& e) {
  const auto& p = e.provenance;
  Json json = {{"run", e.run},   {"lighthouse", p.lighthouse}, {"torch", p.torch},         {"commit", p.commit},
               {"date", p.date}, {"device", e.device},         {"precision", e.precision}, {"attention", "dense"},
               {"seed", e.seed}};
  if (e.loss) {
    json["loss"] = {{"sequences", e.loss->sequences}, {"overall", to_json(e.loss->overall, e)}};
    json["loss"]["buckets"] = Json::array();
    for (const auto& bucket : e.loss->buckets) json["loss"]["buckets"].push_back(to_json(bucket, e));
  }
  if (!e.retrieval.empty()) {
    json["retrieval"] = {{"chance", analysis::kRetrievalChance},
                         {"overall", to_json(analysis::overall(e.retrieval))},
                         {"cells", cells_json(e.retrieval)}};
  }
  if (!e.copy.empty()) {
    json["copy"] = {{"chance", analysis::kCopyChance},
                    {"copy_length", e.copy_length},
                    {"overall", to_json(analysis::overall(e.copy))},
                    {"cells", cells_json(e.copy)}};
    if (e.untrained) {
      json["copy"]["untrained"] = {{"length", e.untrained->length}};
      json["copy"]["untrained"].update(to_json(*e.untrained));
    }
  }
  return dump(json);
}

}  // namespace lighthouse::cli
