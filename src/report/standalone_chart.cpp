// Charts as SVG files of their own, for documents. They have a page's colour of their own behind them, so that they
// read on light and on dark pages, and follow the reader's choice where the viewer knows it.
#include <algorithm>
#include <cmath>
#include <functional>
#include <sstream>
#include <utility>

#include "report/axis.h"
#include "report/html_page.h"
#include "report/line_chart.h"

namespace lighthouse::report {
namespace {

constexpr const char* kStandaloneStyle =
    "svg{--page:#fff;--ink:#1b2430;--quiet:#55606d;--line:#dfe5ea;--axis:#77828e}\n"
    "@media (prefers-color-scheme: dark){svg{--page:#12171d;--ink:#e4e9ee;--quiet:#a4b0bc;--line:#2b343d}}\n";

/// What an axis counts, and what stands in brackets after it: too long for one line.
std::pair<std::string, std::string> split(const std::string& label) {
  const size_t bracket = label.find(" (");
  if (bracket == std::string::npos || label.back() != ')') return {label, ""};
  return {label.substr(0, bracket), label.substr(bracket + 2, label.size() - bracket - 3)};
}

void draw_axes(std::ostringstream& svg, const LineChart& chart, const Frame& frame, const Axis& x, const Axis& y) {
  const std::string left = coordinate(frame.left);
  const std::string right = coordinate(frame.right_edge());
  const std::string bottom = coordinate(frame.bottom_edge());
  for (const auto& tick : ticks_of(y.ticks(6), chart.y_format)) {
    const std::string at = coordinate(y.pixel(tick.value));
    svg << "<line class='grid' x1='" << left << "' x2='" << right << "' y1='" << at << "' y2='" << at << "'/>"
        << "<text class='tick' text-anchor='end' x='" << coordinate(frame.left - 8) << "' y='" << at << "' dy='.32em'>"
        << escape_html(tick.label) << "</text>\n";
  }
  for (const auto& tick : spaced(ticks_of(x_ticks_of(chart, x, 8), chart.x_format), x, 1)) {
    const std::string at = coordinate(x.pixel(tick.value));
    svg << "<line class='axis' x1='" << at << "' x2='" << at << "' y1='" << bottom << "' y2='"
        << coordinate(frame.bottom_edge() + 5) << "'/><text class='tick' text-anchor='middle' x='" << at << "' y='"
        << coordinate(frame.bottom_edge() + 22) << "'>" << escape_html(tick.label) << "</text>\n";
  }
  const auto [label, setting] = split(chart.x_label);
  svg << "<line class='axis' x1='" << left << "' x2='" << right << "' y1='" << bottom << "' y2='" << bottom << "'/>\n"
      << "<text class='label' text-anchor='middle' x='" << coordinate((frame.left + frame.right_edge()) / 2) << "' y='"
      << coordinate(frame.bottom_edge() + 46) << "'>" << escape_html(label) << "</text>\n";
  if (!setting.empty())
    svg << "<text class='tick' text-anchor='middle' x='" << coordinate(frame.width / 2) << "' y='"
        << coordinate(frame.height - 12) << "'>" << escape_html(setting) << "</text>\n";
  svg << "<text class='label' text-anchor='middle' transform='translate(16 "
      << coordinate((frame.top + frame.bottom_edge()) / 2) << ") rotate(-90)'>" << escape_html(chart.y_label)
      << "</text>\n";
}

void draw_marks(std::ostringstream& svg, const LineChart& chart, const Frame& frame, const Axis& x) {
  double label_y = frame.top + 12;
  for (const auto& mark : chart.marks) {
    const double at = x.pixel(mark.x);
    const bool before = at > (frame.left + frame.right_edge()) / 2;  // the side with more room
    svg << "<line class='mark " << series_class(mark.color) << "' x1='" << coordinate(at) << "' x2='" << coordinate(at)
        << "' y1='" << coordinate(frame.top) << "' y2='" << coordinate(frame.bottom_edge())
        << "'/><text class='tick' text-anchor='" << (before ? "end" : "start") << "' x='"
        << coordinate(at + (before ? -6 : 6)) << "' y='" << coordinate(label_y) << "'>" << escape_html(mark.label)
        << "</text>\n";
    label_y += 18;
  }
}

void draw_notes(std::ostringstream& svg, const LineChart& chart, const Axis& x, const Axis& y) {
  for (const auto& note : chart.notes) {
    if (!drawable(chart, note.at)) continue;
    svg << "<text class='note' text-anchor='end' x='" << coordinate(x.pixel(note.at.x) - 10) << "' y='"
        << coordinate(y.pixel(note.at.y)) << "'>" << escape_html(note.text) << "</text>\n";
  }
}

void draw_series(std::ostringstream& svg, const LineChart& chart, const Series& series, const Axis& x, const Axis& y) {
  std::ostringstream path;
  std::ostringstream dots;
  bool pen_down = false;
  for (const auto& point : series.points) {
    if (!drawable(chart, point)) {
      pen_down = false;
      continue;
    }
    const std::string px = coordinate(x.pixel(point.x));
    const std::string py = coordinate(y.pixel(point.y));
    path << (pen_down ? "L" : "M") << px << " " << py;
    pen_down = true;
    if (series.markers) dots << "<circle r='3' cx='" << px << "' cy='" << py << "'/>";
  }
  svg << "<g class='" << series_class(series.color) << "'><path class='line'" << dashes(series) << " d='" << path.str()
      << "'/>" << dots.str() << "</g>\n";
}

/// The name of a line, at the height where the line ends.
struct LineLabel {
  double y = 0;
  const Series* series = nullptr;
};

/// Names beside the lines' ends, kept apart: pushed down in the order of the ends, then up from the picture's lower
/// edge.
std::vector<LineLabel> line_labels(const LineChart& chart, const Frame& frame, const Axis& y) {
  constexpr double kApart = 18;
  std::vector<LineLabel> labels;
  for (const auto& series : chart.series) {
    const auto last = std::find_if(series.points.rbegin(), series.points.rend(),
                                   [&](const Point& point) { return drawable(chart, point); });
    if (last != series.points.rend()) labels.push_back({y.pixel(last->y) + 4, &series});
  }
  std::stable_sort(labels.begin(), labels.end(), [](const auto& a, const auto& b) { return a.y < b.y; });
  for (size_t i = 1; i < labels.size(); ++i) labels[i].y = std::max(labels[i].y, labels[i - 1].y + kApart);
  double lowest = frame.height - 4;
  for (size_t i = labels.size(); i-- > 0; lowest = labels[i].y - kApart) labels[i].y = std::min(labels[i].y, lowest);
  return labels;
}

/// Room for the longest name beside the lines' ends.
double label_margin(const LineChart& chart) {
  constexpr double kPixelsPerCharacter = 8;
  size_t longest = 0;
  for (const auto& series : chart.series) longest = std::max(longest, series.name.size());
  return 20 + kPixelsPerCharacter * static_cast<double>(longest);
}

}  // namespace

std::string to_standalone_svg(const LineChart& chart) {
  Frame frame;
  frame.left = chart.y_label.empty() ? 84 : 100;
  frame.right = label_margin(chart);
  frame.width = 570 + frame.right;
  if (!split(chart.x_label).second.empty()) {
    constexpr double kLine = 26;
    frame.bottom += kLine;
    frame.height += kLine;
  }
  const Axis x = make_x_axis(chart, frame);
  const Axis y = make_y_axis(chart, frame);
  // Ids are shared by all that a page shows.
  const std::string clip_id = "frame-" + std::to_string(std::hash<std::string>{}(chart.title + chart.x_label));
  std::ostringstream svg;
  svg << "<svg xmlns='http://www.w3.org/2000/svg' role='img' viewBox='0 0 " << frame.width << " " << frame.height
      << "' font-family='system-ui, sans-serif'>\n<title>" << escape_html(chart.title) << "</title>\n<style>\n"
      << kStandaloneStyle << chart_style()
      << ".tick,.label,.note{font-size:15px}.name{fill:currentColor;font-size:15px}\n"
      << "</style>\n<rect width='100%' height='100%' rx='6' style='fill:var(--page)'/>\n"
      << "<clipPath id='" << clip_id << "'><rect x='" << frame.left - 4 << "' y='" << frame.top << "' width='"
      << frame.right_edge() - frame.left + 8 << "' height='" << frame.bottom_edge() - frame.top << "'/></clipPath>\n";
  draw_axes(svg, chart, frame, x, y);
  draw_marks(svg, chart, frame, x);
  svg << "<g clip-path='url(#" << clip_id << ")'>\n";  // with room for half a marker at either side
  for (const auto& series : chart.series) draw_series(svg, chart, series, x, y);
  svg << "</g>\n";
  for (const auto& label : line_labels(chart, frame, y)) {
    svg << "<text class='name " << series_class(label.series->color) << "' x='" << coordinate(frame.right_edge() + 8)
        << "' y='" << coordinate(label.y) << "'>" << escape_html(label.series->name) << "</text>\n";
  }
  draw_notes(svg, chart, x, y);
  svg << "</svg>\n";
  return svg.str();
}

}  // namespace lighthouse::report
