#include "report/line_chart.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <sstream>

#include "report/axis.h"
#include "report/html_page.h"

namespace lighthouse::report {
namespace {

/// The chart's own ticks without those that would run into the one before.
std::vector<double> x_ticks(const LineChart& chart, const Axis& x) {
  constexpr double kApart = 48;
  if (chart.x_ticks.empty()) return x.ticks(8);
  std::vector<double> ticks;
  for (const double tick : chart.x_ticks) {
    if (ticks.empty() || x.pixel(tick) - x.pixel(ticks.back()) >= kApart) ticks.push_back(tick);
  }
  return ticks;
}

void draw_axes(std::ostringstream& svg, const LineChart& chart, const Frame& frame, const Axis& x, const Axis& y) {
  const std::string left = coordinate(frame.left);
  const std::string right = coordinate(frame.right_edge());
  const std::string bottom = coordinate(frame.bottom_edge());
  for (const double tick : y.ticks(6)) {
    const std::string at = coordinate(y.pixel(tick));
    svg << "<line class='grid' x1='" << left << "' x2='" << right << "' y1='" << at << "' y2='" << at << "'/>"
        << "<text class='tick' text-anchor='end' x='" << coordinate(frame.left - 8) << "' y='" << at << "' dy='0.32em'>"
        << escape_html(chart.y_format(tick)) << "</text>\n";
  }
  for (const double tick : x_ticks(chart, x)) {
    const std::string at = coordinate(x.pixel(tick));
    svg << "<line class='axis' x1='" << at << "' x2='" << at << "' y1='" << bottom << "' y2='"
        << coordinate(frame.bottom_edge() + 5) << "'/><text class='tick' text-anchor='middle' x='" << at << "' y='"
        << coordinate(frame.bottom_edge() + 22) << "'>" << escape_html(chart.x_format(tick)) << "</text>\n";
  }
  svg << "<line class='axis' x1='" << left << "' x2='" << right << "' y1='" << bottom << "' y2='" << bottom << "'/>\n"
      << "<text class='label' text-anchor='middle' x='" << coordinate((frame.left + frame.right_edge()) / 2) << "' y='"
      << coordinate(frame.height - 10) << "'>" << escape_html(chart.x_label) << "</text>\n"
      << "<text class='label' text-anchor='middle' transform='translate(14 "
      << coordinate((frame.top + frame.bottom_edge()) / 2) << ") rotate(-90)'>" << escape_html(chart.y_label)
      << "</text>\n";
}

void draw_marks(std::ostringstream& svg, const LineChart& chart, const Frame& frame, const Axis& x) {
  double label_y = frame.top + 12;
  for (const auto& mark : chart.marks) {
    const double at = x.pixel(mark.x);
    // The label stands on the side with more room.
    const bool before = at > (frame.left + frame.right_edge()) / 2;
    svg << "<line class='mark' stroke='" << palette(mark.color) << "' x1='" << coordinate(at) << "' x2='"
        << coordinate(at) << "' y1='" << coordinate(frame.top) << "' y2='" << coordinate(frame.bottom_edge()) << "'/>"
        << "<text class='tick' fill='" << palette(mark.color) << "' text-anchor='" << (before ? "end" : "start")
        << "' x='" << coordinate(at + (before ? -6 : 6)) << "' y='" << coordinate(label_y) << "'>"
        << escape_html(mark.label) << "</text>\n";
    label_y += 18;
  }
}

void draw_notes(std::ostringstream& svg, const LineChart& chart, const Axis& x, const Axis& y) {
  for (const auto& note : chart.notes) {
    if (!drawable(chart, note.at)) continue;
    svg << "<text class='label' font-weight='600' text-anchor='end' x='" << coordinate(x.pixel(note.at.x) - 10)
        << "' y='" << coordinate(y.pixel(note.at.y)) << "'>" << escape_html(note.text) << "</text>\n";
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
    if (series.markers)
      dots << "<circle r='3' cx='" << px << "' cy='" << py << "' fill='" << palette(series.color) << "'/>";
  }
  svg << "<path fill='none' stroke-width='2' stroke-linejoin='round' stroke='" << palette(series.color) << "'"
      << (series.dashed ? " stroke-dasharray='6 4'" : "") << " d='" << path.str() << "'/>" << dots.str() << "\n";
}

void draw_legend(std::ostringstream& html, const LineChart& chart) {
  html << "<figcaption>";
  for (const auto& series : chart.series) {
    html << "<span class='key'><svg width='26' height='10' aria-hidden='true'><line x1='1' x2='25' y1='5' y2='5' "
            "stroke-width='2.5' stroke='"
         << palette(series.color) << "'" << (series.dashed ? " stroke-dasharray='6 4'" : "") << "/></svg>"
         << escape_html(series.name) << "</span> ";
  }
  html << "</figcaption>\n";
}

/// The name of a line, at the height where the line ends.
struct LineLabel {
  double y = 0;
  const Series* series = nullptr;
};

/// Names beside the lines' ends, kept apart: pushed down in the order of the ends, then up from the picture's lower
/// edge.
std::vector<LineLabel> line_labels(const LineChart& chart, const Frame& frame, const Axis& y) {
  constexpr double kApart = 16;
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
  constexpr double kPixelsPerCharacter = 7.2;
  size_t longest = 0;
  for (const auto& series : chart.series) longest = std::max(longest, series.name.size());
  return 20 + kPixelsPerCharacter * static_cast<double>(longest);
}

}  // namespace

std::vector<double> nice_ticks(double low, double high, int count) {
  if (!(high > low)) return {low};
  const double rough = (high - low) / count;
  const double magnitude = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * magnitude;
  for (const double multiple : {1.0, 2.0, 2.5, 5.0}) {
    if (rough <= multiple * magnitude * (1 + 1e-9)) {
      step = multiple * magnitude;
      break;
    }
  }
  std::vector<double> ticks;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; ++i) ticks.push_back(i * step);
  return ticks;
}

std::string short_number(double value) {
  const double size = std::abs(value);
  const auto scaled = [&](double unit, const char* suffix) {
    const double x = value / unit;
    return format(std::abs(x) < 10 && x != std::round(x) ? "%.1f" : "%.0f", x) + suffix;
  };
  if (size >= 1e9) return scaled(1e9, "G");
  if (size >= 1e6) return scaled(1e6, "M");
  if (size >= 1e4) return scaled(1e3, "K");
  return format("%.4g", size < 1e-12 ? 0.0 : value);
}

std::string short_length(double tokens) {
  const double thousands = tokens / 1024;
  return thousands >= 1 && thousands == std::floor(thousands) ? format("%.0fK", thousands) : short_number(tokens);
}

std::string short_duration(double milliseconds) {
  return milliseconds < 1000 ? format("%.3g ms", milliseconds) : format("%.3g s", milliseconds / 1000);
}

std::string short_bytes(double bytes) {
  if (bytes >= 1e9) return format("%.3g GB", bytes / 1e9);
  if (bytes >= 1e6) return format("%.3g MB", bytes / 1e6);
  return format("%.3g kB", bytes / 1e3);
}

std::string chart_style() {
  return ".grid { stroke: #e4e8ec; } .axis { stroke: #6b7783; } .mark { stroke-dasharray: 3 3; stroke-width: 1.2; }\n"
         ".tick { font-size: 15px; fill: #4a5560; } .label { font-size: 16px; fill: #1c2733; }\n";
}

std::string to_svg(const LineChart& chart) {
  const Frame frame;
  const Axis x = make_x_axis(chart, frame);
  const Axis y = make_y_axis(chart, frame);
  // Ids are shared by all of a page's charts.
  const std::string clip_id = "frame-" + std::to_string(std::hash<std::string>{}(chart.title + chart.x_label));
  std::ostringstream svg;
  // The clip leaves room for half a marker at either side.
  svg << "<figure><h3>" << escape_html(chart.title) << "</h3>\n<svg class='chart' role='img' aria-label='"
      << escape_html(chart.title) << "' viewBox='0 0 " << frame.width << " " << frame.height << "'>\n"
      << "<defs><clipPath id='" << clip_id << "'><rect x='" << frame.left - 4 << "' y='" << frame.top << "' width='"
      << frame.right_edge() - frame.left + 8 << "' height='" << frame.bottom_edge() - frame.top
      << "'/></clipPath></defs>\n";
  draw_axes(svg, chart, frame, x, y);
  draw_marks(svg, chart, frame, x);
  svg << "<g clip-path='url(#" << clip_id << ")'>\n";
  for (const auto& series : chart.series) draw_series(svg, chart, series, x, y);
  svg << "</g>\n";
  draw_notes(svg, chart, x, y);
  svg << "</svg>\n";
  draw_legend(svg, chart);
  svg << "</figure>\n";
  return svg.str();
}

std::string to_standalone_svg(const LineChart& chart) {
  Frame frame;
  frame.left = chart.y_label.empty() ? 84 : 100;
  frame.right = label_margin(chart);
  frame.width = 570 + frame.right;
  const Axis x = make_x_axis(chart, frame);
  const Axis y = make_y_axis(chart, frame);
  std::ostringstream svg;
  svg << "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " << frame.width << " " << frame.height
      << "' font-family='system-ui, sans-serif' font-size='13'>\n<title>" << escape_html(chart.title)
      << "</title>\n<style>\n"
      << chart_style() << "</style>\n<rect width='" << frame.width << "' height='" << frame.height
      << "' fill='white'/>\n";
  draw_axes(svg, chart, frame, x, y);
  draw_marks(svg, chart, frame, x);
  for (const auto& series : chart.series) draw_series(svg, chart, series, x, y);
  for (const auto& label : line_labels(chart, frame, y)) {
    svg << "<text x='" << coordinate(frame.right_edge() + 8) << "' y='" << coordinate(label.y) << "' fill='"
        << palette(label.series->color) << "'>" << escape_html(label.series->name) << "</text>\n";
  }
  draw_notes(svg, chart, x, y);
  svg << "</svg>\n";
  return svg.str();
}

}  // namespace lighthouse::report
