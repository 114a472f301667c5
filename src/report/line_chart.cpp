#include "report/line_chart.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "report/axis.h"
#include "report/html_page.h"

namespace lighthouse::report {
namespace {

// In a page nothing is placed by pixels: text keeps its size and the picture takes the width that there is. Ticks and
// labels stand at percentages of it; lines are in a picture of kUnits by kUnits within, which is stretched.
constexpr double kUnits = 1000;
constexpr double kHeight = 240;       // pixels of the plot
constexpr double kNarrowWidth = 230;  // of the plot, on a telephone;
constexpr double kWideWidth = 400;    // and at least this much where a chart is wider than 30rem

std::string percent_of(double value) { return format("%.2f%%", value); }

void draw_y_ticks(std::ostringstream& svg, const std::vector<Tick>& ticks, const Axis& y) {
  for (const auto& tick : ticks) {
    const std::string at = percent_of(y.pixel(tick.value));
    svg << "<line class='grid' x2='100%' y1='" << at << "' y2='" << at
        << "'/><text class='tick' text-anchor='end' x='-8' y='" << at << "' dy='.32em'>" << escape_html(tick.label)
        << "</text>\n";
  }
}

void draw_x_ticks(std::ostringstream& svg, const LineChart& chart, const Axis& x) {
  const auto all = ticks_of(x_ticks_of(chart, x, 6), chart.x_format);
  const auto narrow = spaced(all, x, kNarrowWidth / 100);
  for (const auto& tick : spaced(all, x, kWideWidth / 100)) {
    const auto is_this = [&](const Tick& other) { return other.value == tick.value; };
    const std::string at = percent_of(x.pixel(tick.value));
    svg << "<g" << (std::none_of(narrow.begin(), narrow.end(), is_this) ? " class='wide-only'" : "")
        << "><line class='axis' x1='" << at << "' x2='" << at << "' y1='" << kHeight << "' y2='" << kHeight + 5
        << "'/><text class='tick' text-anchor='middle' x='" << at << "' y='" << kHeight + 20 << "'>"
        << escape_html(tick.label) << "</text></g>\n";
  }
  svg << "<line class='axis' x2='100%' y1='" << kHeight << "' y2='" << kHeight << "'/>\n";
}

void draw_page_marks(std::ostringstream& svg, const LineChart& chart, const Axis& x) {
  double label_y = 12;
  for (const auto& mark : chart.marks) {
    if (!within(x, mark.x)) continue;
    const double at = x.pixel(mark.x);
    const bool before = at > 50;  // the label stands on the side with more room
    svg << "<line class='mark " << series_class(mark.color) << "' x1='" << percent_of(at) << "' x2='" << percent_of(at)
        << "' y2='100%'/>";
    if (!mark.label.empty()) {
      svg << "<text class='tick' text-anchor='" << (before ? "end" : "start") << "' x='" << percent_of(at) << "' dx='"
          << (before ? -6 : 6) << "' y='" << label_y << "'>" << escape_html(mark.label) << "</text>\n";
      label_y += 17;
    }
  }
}

/// The line, and dots where it is asked for them or where a point has no neighbour to be joined to.
void draw_page_series(std::ostringstream& svg, const LineChart& chart, const Series& series, const Axis& x,
                      const Axis& y) {
  std::ostringstream path;
  std::ostringstream dots;
  const auto& points = series.points;
  const auto shown = [&](size_t i) { return i < points.size() && drawable(chart, points[i]); };
  for (size_t i = 0; i < points.size(); ++i) {
    if (!shown(i)) continue;
    const bool joined = i > 0 && shown(i - 1);
    const double px = x.pixel(points[i].x);
    const double py = y.pixel(points[i].y);
    path << (joined ? 'L' : 'M') << coordinate(px * kUnits / 100) << " " << coordinate(py * kUnits / 100);
    const bool alone = !joined && !shown(i + 1);
    if ((series.markers || alone) && within(y, points[i].y))
      dots << "<circle r='3.2' cx='" << percent_of(px) << "' cy='" << percent_of(py) << "'/>";
  }
  svg << "<g class='" << series_class(series.color)
      << "'><svg aria-hidden='true' width='100%' height='100%' viewBox='0 0 " << kUnits << " " << kUnits
      << "' preserveAspectRatio='none'><path class='line'" << dashes(series) << " d='" << path.str() << "'/></svg>"
      << dots.str() << "</g>\n";
}

void draw_page_notes(std::ostringstream& svg, const LineChart& chart, const Axis& x, const Axis& y) {
  for (const auto& note : chart.notes) {
    if (!drawable(chart, note.at)) continue;
    const double at = x.pixel(note.at.x);
    const bool before = at > 50;
    svg << "<text class='note' text-anchor='" << (before ? "end" : "start") << "' x='" << percent_of(at) << "' dx='"
        << (before ? -10 : 10) << "' y='" << percent_of(y.pixel(note.at.y)) << "'>" << escape_html(note.text)
        << "</text>\n";
  }
}

std::string keys_of(const LineChart& chart) {
  std::string html = "<p class='keys'>";
  for (const auto& series : chart.series) {
    if (series.name.empty()) continue;
    html += "<span class='key'><svg class='" + series_class(series.color) +
            "' aria-hidden='true'><line class='line' x1='1' x2='25' y1='6' y2='6'" + dashes(series) + "/></svg>" +
            escape_html(series.name) + "</span>";
  }
  return html + "</p>\n";
}

/// What a reader who does not see the picture is told: where each line starts and ends.
std::string in_words(const LineChart& chart) {
  std::string text = chart.title;
  for (const auto& series : chart.series) {
    std::vector<Point> points;
    std::copy_if(series.points.begin(), series.points.end(), std::back_inserter(points),
                 [&](const Point& point) { return drawable(chart, point); });
    if (points.empty() || series.name.empty()) continue;
    text += ". " + series.name + ": " + chart.y_format(points.front().y) + " at " + chart.x_format(points.front().x);
    if (points.size() > 1) text += ", " + chart.y_format(points.back().y) + " at " + chart.x_format(points.back().x);
  }
  return text;
}

/// What the picture leaves out, in a sentence each; nothing where it leaves out nothing.
std::string left_out(const LineChart& chart, const Axis& y) {
  int64_t without_place = 0;
  int64_t above = 0;
  int64_t below = 0;
  for (const auto& series : chart.series) {
    for (const auto& point : series.points) {
      const bool has_place = drawable(chart, point);
      without_place += !has_place;
      above += has_place && point.y > y.high();
      below += has_place && point.y < y.low();
    }
  }
  std::string text;
  const auto say = [&](int64_t count, const std::string& what) {
    if (count > 0) text += " " + std::to_string(count) + (count == 1 ? " point " : " points ") + what + ".";
  };
  say(without_place, "without a finite value that fits the axes left out");
  say(above, "above the frame cut off");
  say(below, "below the frame cut off");
  return text.empty() ? "" : "<p class='quiet'>" + text.substr(1) + "</p>\n";
}

/// Room for the widest label.
double left_margin(const std::vector<Tick>& ticks) {
  constexpr double kPixelsPerCharacter = 7.4;
  size_t longest = 3;
  for (const auto& tick : ticks) longest = std::max(longest, tick.label.size());
  return 12 + kPixelsPerCharacter * static_cast<double>(longest);
}

std::string plot_of(const LineChart& chart) {
  const Frame percents{.width = 100, .height = 100, .left = 0, .right = 0, .top = 0, .bottom = 0};
  const Axis x = make_x_axis(chart, percents);
  const Axis y = make_y_axis(chart, percents);
  const auto y_ticks = ticks_of(y.ticks(5), chart.y_format);
  std::ostringstream svg;
  if (!chart.y_label.empty()) svg << "<p class='quiet'>" << escape_html(chart.y_label) << "</p>";
  svg << "<svg class='plot' role='img' aria-label='" << escape_html(in_words(chart)) << "' height='" << kHeight
      << "' style='--left:" << coordinate(left_margin(y_ticks)) << "px'>\n";
  draw_y_ticks(svg, y_ticks, y);
  draw_x_ticks(svg, chart, x);
  draw_page_marks(svg, chart, x);
  for (const auto& series : chart.series) draw_page_series(svg, chart, series, x, y);
  draw_page_notes(svg, chart, x, y);
  svg << "</svg>\n<p class='quiet x-label'>" << escape_html(chart.x_label) << "</p>\n" << left_out(chart, y);
  return svg.str();
}

bool has_points(const LineChart& chart) {
  return std::any_of(chart.series.begin(), chart.series.end(), [&](const Series& series) {
    return std::any_of(series.points.begin(), series.points.end(),
                       [&](const Point& point) { return drawable(chart, point); });
  });
}

}  // namespace

std::vector<double> nice_ticks(double low, double high, int count) {
  // Steps of less than the numbers' own precision would not go on.
  if (!(high - low > 1e-12 * std::max(std::abs(low), std::abs(high)))) return {low};
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
  if (std::isnan(value)) return "NaN";
  const double size = std::abs(value);
  const auto scaled = [&](double unit, const char* suffix) {
    const double x = value / unit;
    const double tenths = std::round(10 * x);
    return format(std::abs(tenths) < 100 && std::fmod(tenths, 10) != 0 ? "%.1f" : "%.0f", x) + suffix;
  };
  // A number that rounds to the next unit is written in it.
  if (size >= 999.5e12) return format("%.3g", value);
  if (size >= 999.5e9) return scaled(1e12, "T");
  if (size >= 999.5e6) return scaled(1e9, "G");
  if (size >= 999.5e3) return scaled(1e6, "M");
  if (size >= 9999.5) return scaled(1e3, "K");
  return format("%.4g", size < 1e-12 ? 0.0 : value);
}

std::string short_length(double tokens) {
  const double thousands = tokens / 1024;
  return thousands >= 1 && thousands == std::floor(thousands) ? format("%.0fK", thousands) : short_number(tokens);
}

std::string short_duration(double milliseconds) {
  const double seconds = milliseconds / 1000;
  if (milliseconds < 999.5) return format("%.3g ms", milliseconds);
  if (seconds < 999.5) return format("%.3g s", seconds);
  return seconds / 60 < 999.5 ? format("%.3g min", seconds / 60) : format("%.0f h", seconds / 3600);
}

std::string short_bytes(double bytes) {
  if (bytes >= 999.5e9) return format("%.3g TB", bytes / 1e12);
  if (bytes >= 999.5e6) return format("%.3g GB", bytes / 1e9);
  if (bytes >= 999.5e3) return format("%.3g MB", bytes / 1e6);
  return bytes >= 999.5 ? format("%.3g kB", bytes / 1e3) : format("%.0f B", bytes);
}

std::string chart_style() {
  const auto colors = [](const std::vector<std::string>& of) {
    std::string css;
    for (size_t i = 0; i < of.size(); ++i) css += "." + series_class(static_cast<int>(i)) + "{color:" + of[i] + "}";
    return css + "\n";
  };
  // Each has a contrast of 4.5 and more to its page, and they stay apart for colour-blind readers.
  return ".grid{stroke:var(--line)}.axis{stroke:var(--axis)}.mark{stroke:currentColor;stroke-dasharray:3 "
         "3;stroke-width:1.2}\n"
         ".line{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round;vector-effect:non-scaling-stroke}\n"
         "circle{fill:currentColor}.tick,.note,.label{fill:var(--quiet);font-size:.8125rem}.tick,.note{paint-order:"
         "stroke;"
         "stroke:var(--page);stroke-width:3px;stroke-linejoin:round}.note{fill:var(--ink);font-weight:600}\n" +
         colors({"#1f5fa8", "#c44a17", "#1e7a4f", "#8a4fa3", "#866612", "#555"}) +
         "@media screen and (prefers-color-scheme: dark) {\n" +
         colors({"#74b3f2", "#ff9f68", "#5fcb96", "#cf9fe6", "#d9b54c", "#b9c1c9"}) + "}\n";
}

std::string to_figure(const LineChart& chart) {
  return "<figure class='chart'><figcaption><b>" + escape_html(chart.title) + "</b>\n" + keys_of(chart) +
         "</figcaption>\n" +
         (has_points(chart) ? plot_of(chart) : "<p class='quiet'>There is no finite value to draw.</p>\n") +
         "</figure>\n";
}

}  // namespace lighthouse::report
