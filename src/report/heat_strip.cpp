#include "report/heat_strip.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

#include "report/axis.h"
#include "report/heat_color.h"
#include "report/html_page.h"
#include "report/line_chart.h"

namespace lighthouse::report {
namespace {

// As in charts, places across are percentages of the width that there is, and heights are pixels.
constexpr size_t kMostColumns = 900;
constexpr int kGroupName = 20;  // the line that a group's name takes
constexpr int kGroupGap = 8;
constexpr int kTickHeight = 26;  // under the rows
constexpr int kLeftMargin = 64;

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
std::string cells(const std::vector<double>& values) {
  std::map<int, std::ostringstream> paths;
  for (size_t begin = 0; begin < values.size();) {
    const int step = heat_step(values[begin]);
    size_t end = begin + 1;
    while (end < values.size() && heat_step(values[end]) == step) ++end;
    if (step > 0) paths[step] << "M" << begin << " 0h" << end - begin << "v1h-" << end - begin << "z";
    begin = end;
  }
  std::ostringstream svg;
  svg << "<rect class='" << heat_class(0) << "' width='" << values.size() << "' height='1'/>";
  for (const auto& [step, path] : paths) svg << "<path class='" << heat_class(step) << "' d='" << path.str() << "'/>";
  return svg.str();
}

void draw_row(std::ostringstream& svg, const HeatRow& row, const Rows& rows, int y) {
  if (rows.labels)
    svg << "<text class='tick' text-anchor='end' x='-8' y='" << y + rows.height / 2 + 4 << "'>"
        << escape_html(row.label) << "</text>";
  const auto values = bin_means(row.values, kMostColumns);
  if (values.empty()) return;
  svg << "<svg aria-hidden='true' y='" << y << "' width='100%' height='" << rows.height << "' viewBox='0 0 "
      << values.size() << " 1' preserveAspectRatio='none'>" << cells(values) << "</svg>\n";
}

void draw_strip_axis(std::ostringstream& svg, const HeatStrips& strips, int y) {
  const Axis axis(Scale::kLinear, strips.x_begin, std::max(strips.x_end, strips.x_begin + 1), 0, 100);
  const auto all = ticks_of(axis.ticks(8), short_number);
  const auto narrow = spaced(all, axis, 2.6);
  svg << "<line class='axis' x2='100%' y1='" << y << "' y2='" << y << "'/>";
  for (const auto& tick : spaced(all, axis, 4)) {
    const std::string at = format("%.2f%%", axis.pixel(tick.value));
    const auto is_this = [&](const Tick& other) { return other.value == tick.value; };
    svg << "<g" << (std::none_of(narrow.begin(), narrow.end(), is_this) ? " class='wide-only'" : "")
        << "><line class='axis' x1='" << at << "' x2='" << at << "' y1='" << y << "' y2='" << y + 5
        << "'/><text class='tick' text-anchor='middle' x='" << at << "' y='" << y + 20 << "'>"
        << escape_html(tick.label) << "</text></g>\n";
  }
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

std::string to_figure(const HeatStrips& strips) {
  const Rows rows = rows_of(strips);
  std::ostringstream body;
  int y = 0;
  for (const auto& group : strips.groups) {
    body << "<text class='note' x='" << -kLeftMargin << "' y='" << y + kGroupName - 6 << "'>"
         << escape_html(group.label) << "</text>\n";
    y += kGroupName;
    for (const auto& row : group.rows) {
      draw_row(body, row, rows, y);
      y += rows.height + rows.gap;
    }
    y += kGroupGap;
  }
  draw_strip_axis(body, strips, y);
  std::ostringstream html;
  html << "<figure><figcaption><b>" << escape_html(strips.title) << "</b></figcaption>\n<svg class='plot' role='img' "
       << "aria-label='" << escape_html(strips.title + ", over " + strips.x_label) << "' height='" << y + kTickHeight
       << "' style='--left:" << kLeftMargin << "px;margin-bottom:0'>\n"
       << body.str() << "</svg>\n<p class='quiet x-label'>" << escape_html(strips.x_label) << "</p></figure>\n";
  return html.str();
}

}  // namespace lighthouse::report
