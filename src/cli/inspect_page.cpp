// The page of `lighthouse inspect`.
#include <algorithm>
#include <limits>

#include "analysis/selection_overlap.h"
#include "cli/inspect_report.h"
#include "cli/number_text.h"
#include "report/heat_color.h"
#include "report/heat_matrix.h"
#include "report/heat_strip.h"
#include "report/line_chart.h"
#include "report/shaded_text.h"
#include "text/number_text.h"

namespace lighthouse::cli {
namespace {

constexpr size_t kShownSpans = 20;
constexpr size_t kTextLimit = 20'000;  // bytes shown: shades cost about three bytes of page for one of text

/// Without its folders, which are named at the end of the page.
std::string file_name(const Inspection& inspection) {
  return std::filesystem::path(inspection.text_name).filename().string();
}

report::HeatStrips strips_of(const Inspection& inspection) {
  const auto& map = inspection.map;
  report::HeatStrips strips;
  strips.title = "Where detail stays";
  strips.x_label = "byte of " + file_name(inspection);
  strips.x_begin = static_cast<double>(inspection.offset);
  strips.x_end = strips.x_begin + static_cast<double>(inspection.text.size());
  for (const auto& layer : map.layers) {
    report::HeatGroup group{"layer " + std::to_string(layer.layer), {}};
    for (size_t head = 0; head < layer.heads.size(); ++head) {
      group.rows.push_back(
          {"head " + std::to_string(head), analysis::fineness(layer.heads[head], map.geometry.num_levels())});
    }
    strips.groups.push_back(std::move(group));
  }
  return strips;
}

std::vector<report::HeatKey> level_keys(const Geometry& geometry) {
  std::vector<report::HeatKey> keys;
  const int64_t last = geometry.num_levels() - 1;
  for (int64_t level = 0; level <= last; ++level) {
    const int64_t length = geometry.window_length(level);
    keys.push_back({last == 0 ? 1.0 : 1.0 - static_cast<double>(level) / static_cast<double>(last),
                    "level " + std::to_string(level) +
                        (level == 0 ? ": kept as it is" : ": a mean of " + text::count_of(length, "byte"))});
  }
  return keys;
}

/// Row and column i with themselves say nothing: those cells stay empty.
std::vector<std::vector<double>> without_diagonal(std::vector<std::vector<double>> values) {
  for (size_t i = 0; i < values.size(); ++i) values[i][i] = std::numeric_limits<double>::quiet_NaN();
  return values;
}

std::vector<report::HeatMatrix> head_matrices(const analysis::SelectionMap& map) {
  std::vector<report::HeatMatrix> matrices;
  for (const auto& layer : map.layers) {
    if (layer.heads.size() < 2) continue;
    report::HeatMatrix matrix;
    matrix.title = "Heads of layer " + std::to_string(layer.layer);
    for (size_t head = 0; head < layer.heads.size(); ++head) matrix.labels.push_back(std::to_string(head));
    matrix.values = without_diagonal(analysis::overlap_of_heads(layer).jaccard);
    matrices.push_back(std::move(matrix));
  }
  return matrices;
}

report::HeatMatrix layer_matrix(const analysis::SelectionMap& map) {
  report::HeatMatrix matrix;
  matrix.title = "Layers";
  for (const auto& layer : map.layers) matrix.labels.push_back(std::to_string(layer.layer));
  matrix.values = analysis::overlap_of_layers(map);
  for (size_t i = 0; i < map.layers.size(); ++i) {
    if (map.layers[i].heads.size() < 2) matrix.values[i][i] = std::numeric_limits<double>::quiet_NaN();
  }
  return matrix;
}

void add_overlap(report::HtmlPage& page, const analysis::SelectionMap& map) {
  page.heading("Overlap between heads");
  page.paragraph(
      "Of two heads: the bytes that both keep at level 0 over the bytes that either does. Heads that chose as many "
      "windows at random and on their own would have the value under “random choices” on average; what every head must "
      "keep (the first window, the tail) is counted there too.");
  page.table(overlap_table(map));
  auto matrices = head_matrices(map);
  if (map.layers.size() > 1) matrices.push_back(layer_matrix(map));
  if (map.layers.size() > 1)
    page.paragraph("Under “Layers” stands the mean over pairs of different heads, one of each layer.");
  page.html(report::to_html(matrices));
}

/// Every layer's heads in one table.
report::Table all_heads(const analysis::SelectionMap& map) {
  report::Table all;
  for (const auto& layer : map.layers) {
    report::Table table = head_table(layer);
    all.header = table.header;
    all.header.front() = "layer, head";
    for (auto& row : table.rows) {
      row.front() = std::to_string(layer.layer) + ", " + row.front();
      all.rows.push_back(std::move(row));
    }
  }
  return all;
}

/// How much is kept, and whether heads agree on what.
std::string result_text(const analysis::SelectionMap& map) {
  const auto& geometry = map.geometry;
  const auto& first = map.layers.front().heads.front();
  const double kept = analysis::level_shares(first, geometry.num_levels()).front();
  std::string text = "Each head keeps " + number("%.1f%%", 100 * kept) + " of " +
                     text::count_of(geometry.num_tokens(), "byte") + " at full detail; attention sees " +
                     text::count_of(geometry.retained_length(), "row") + " in all.";
  double sum = 0;
  double count = 0;
  for (const auto& layer : map.layers) {
    if (layer.heads.size() < 2) continue;
    sum += analysis::overlap_of_heads(layer).mean;
    count += 1;
  }
  const double expected = analysis::expected_jaccard(map);
  if (count == 0 || !(expected > 0)) return text;
  return text + " Two heads of a layer keep " + number("%.1f", sum / count / expected) +
         " times as much in common as random choices would.";
}

void add_text(report::HtmlPage& page, const Inspection& inspection) {
  size_t heads = 0;
  for (const auto& layer : inspection.map.layers) heads += layer.heads.size();
  const auto kept_by = analysis::heads_at_detail(inspection.map.layers, inspection.map.geometry.num_tokens());
  std::vector<double> shares;
  for (const int64_t count : kept_by) shares.push_back(static_cast<double>(count) / static_cast<double>(heads));

  page.heading("The text");
  page.paragraph("Each character is shaded by the share of the " + text::count_of(static_cast<int64_t>(heads), "head") +
                 " that keep it at level 0.");
  if (inspection.text.size() > kTextLimit)
    page.paragraph("The first " + std::to_string(kTextLimit) + " of " + std::to_string(inspection.text.size()) +
                   " bytes are shown.");
  page.html(report::heat_legend({{0.25, "a quarter"}, {0.5, "half"}, {0.75, "three quarters"}, {1, "all"}}));
  const std::string shown = inspection.text.substr(0, kTextLimit);
  page.html(report::to_shaded_html(shown, shares));
}

}  // namespace

void write_inspection_page(const std::filesystem::path& path, const Inspection& inspection) {
  const auto& map = inspection.map;
  report::HtmlPage page("What Lighthouse keeps of " + file_name(inspection));
  page.lead(result_text(map));
  page.html(report::heat_legend(level_keys(map.geometry)));
  page.html(report::to_figure(strips_of(inspection)));
  page.paragraph(
      "The finest level at which each byte is retained, by layer and key/value head. Where the text is longer than the "
      "picture is wide, a column has the mean shade of its bytes.");
  const std::string shared = "Kept at full detail by most heads";
  page.heading(shared);
  page.paragraph("Shaded, with what stands around it. What every head must keep is left out.");
  page.html(
      report::to_html(shared, kPassageFigures, shared_passages(inspection, map.layers, kShownSpans, /*utf8=*/true)));
  add_overlap(page, map);
  page.heading("Heads");
  page.table(all_heads(map));
  add_text(page, inspection);
  page.heading("Levels");
  page.paragraph("These follow from the sizes alone, and are the same for every head:");
  page.table(level_table(map));
  page.heading("What was inspected");
  page.paragraph(describe(inspection));
  page.write(path);
}

}  // namespace lighthouse::cli
