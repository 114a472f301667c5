#include "report/heat_strip.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

#include "report/heat_color.h"
#include "report/html_page.h"
#include "report/line_chart.h"

namespace lighthouse::report {
namespace {

constexpr int kWidth = 1080;
constexpr int kLeft = 140;
constexpr int kRight = 12;
constexpr int kTop = 4;
constexpr int kGroupGap = 9;
constexpr int kAxis = 46;  // under the rows
constexpr size_t kColumns = kWidth - kLeft - kRight;

/// Heights of the rows: pictures of many are drawn closer.
struct Rows {
  int height = 16;
  int gap = 3;
  bool labels = true;
};

Rows rows_of(const HeatStrips& strips) {
  size_t count = 0;
  for (const auto& group : strips.groups) count += group.rows.size();
  if (count > 64) return {6, 1, false};
  return count > 16 ? Rows{} : Rows{22, 3, true};
}

/// One path per colour, of all runs of cells with it; the palest is the background.
std::string cells(const std::vector<double>& values, int height) {
  std::map<int, std::ostringstream> paths;
  for (size_t begin = 0; begin < values.size();) {
    const int step = heat_step(values[begin]);
    size_t end = begin + 1;
    while (end < values.size() && heat_step(values[end]) == step) ++end;
    if (step > 0) paths[step] << "M" << begin << " 0h" << end - begin << "v" << height << "h-" << end - begin << "z";
    begin = end;
  }
  std::ostringstream svg;
  svg << "<rect width='" << values.size() << "' height='" << height << "' fill='" << heat_color(0) << "'/>";
  for (const auto& [step, path] : paths)
    svg << "<path fill='" << heat_color(static_cast<double>(step) / kHeatSteps) << "' d='" << path.str() << "'/>";
  return svg.str();
}

void draw_row(std::ostringstream& svg, const HeatRow& row, const Rows& rows, int y) {
  if (rows.labels)
    svg << "<text class='tick' text-anchor='end' x='" << kLeft - 8 << "' y='" << y + rows.height / 2 + 4 << "'>"
        << escape_html(row.label) << "</text>";
  const auto values = bin_means(row.values, kColumns);
  if (values.empty()) return;
  svg << "<g transform='translate(" << kLeft << " " << y << ") scale("
      << static_cast<double>(kColumns) / static_cast<double>(values.size()) << " 1)'>" << cells(values, rows.height)
      << "</g>\n";
}

void draw_axis(std::ostringstream& svg, const HeatStrips& strips, int y) {
  const double range = std::max(strips.x_end - strips.x_begin, 1.0);
  svg << "<line class='axis' x1='" << kLeft << "' x2='" << kWidth - kRight << "' y1='" << y << "' y2='" << y << "'/>";
  for (const double tick : nice_ticks(strips.x_begin, strips.x_end, 8)) {
    const double at = kLeft + static_cast<double>(kColumns) * (tick - strips.x_begin) / range;
    svg << "<line class='axis' x1='" << at << "' x2='" << at << "' y1='" << y << "' y2='" << y + 5
        << "'/><text class='tick' text-anchor='middle' x='" << at << "' y='" << y + 18 << "'>" << short_number(tick)
        << "</text>\n";
  }
  svg << "<text class='label' text-anchor='middle' x='" << kLeft + static_cast<int>(kColumns) / 2 << "' y='" << y + 36
      << "'>" << escape_html(strips.x_label) << "</text>\n";
}

}  // namespace

std::vector<double> bin_means(const std::vector<double>& values, size_t bins) {
  if (values.size() <= bins) return values;
  std::vector<double> means;
  means.reserve(bins);
  for (size_t bin = 0; bin < bins; ++bin) {
    const size_t begin = bin * values.size() / bins;
    const size_t end = (bin + 1) * values.size() / bins;
    double sum = 0;
    for (size_t i = begin; i < end; ++i) sum += values[i];
    means.push_back(sum / static_cast<double>(end - begin));
  }
  return means;
}

std::string to_text_strip(const std::vector<double>& values, size_t columns, bool utf8) {
  static const std::vector<std::string> kBlocks = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static const std::vector<std::string> kAscii = {" ", ".", ":", "-", "=", "+", "*", "#"};
  const auto& shades = utf8 ? kBlocks : kAscii;
  std::string text;
  for (const double value : bin_means(values, columns)) {
    const double place = std::clamp(value, 0.0, 1.0) * static_cast<double>(shades.size() - 1);
    text += shades[static_cast<size_t>(std::lround(place))];
  }
  return text;
}

std::string to_svg(const HeatStrips& strips) {
  const Rows rows = rows_of(strips);
  std::ostringstream body;
  int y = kTop;
  for (const auto& group : strips.groups) {
    body << "<text class='label' font-weight='600' x='0' y='" << y + rows.height / 2 + 4 << "'>"
         << escape_html(group.label) << "</text>\n";
    const int group_top = y;
    for (const auto& row : group.rows) {
      draw_row(body, row, rows, y);
      y += rows.height + rows.gap;
    }
    y = std::max(y, group_top + 16) + kGroupGap;  // the name needs its line
  }
  draw_axis(body, strips, y);
  std::ostringstream svg;
  svg << "<figure>" << (strips.title.empty() ? "" : "<h3>" + escape_html(strips.title) + "</h3>")
      << "<svg class='chart' shape-rendering='crispEdges' role='img' aria-label='" << escape_html(strips.title)
      << "' viewBox='0 0 " << kWidth << " " << y + kAxis << "'>\n"
      << body.str() << "</svg></figure>\n";
  return svg.str();
}

}  // namespace lighthouse::report
