#include "report/line_chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <sstream>

#include "report/html_page.h"

namespace lighthouse::report {
namespace {

constexpr double kWidth = 760;
constexpr double kHeight = 400;
constexpr double kLeft = 64;
constexpr double kRight = 20;
constexpr double kTop = 20;
constexpr double kBottom = 52;

constexpr std::array<const char*, 6> kPalette = {"#1f5fa8", "#d1571b", "#2a8a5c", "#8a4fa3", "#8c6d1f", "#555555"};

const char* palette(int color) { return kPalette[static_cast<size_t>(color) % kPalette.size()]; }

std::string format(const char* pattern, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), pattern, value);
  return text.data();
}

std::string coordinate(double value) { return format("%.1f", value); }

/// One axis: data values to pixels.
class Axis {
 public:
  Axis(Scale scale, double low, double high, double first_pixel, double last_pixel)
      : scale_(scale), low_(low), high_(high), first_(first_pixel), last_(last_pixel) {
    if (!(high_ > low_)) high_ = scale_ == Scale::kLog ? low_ * 2 : low_ + 1;
  }

  double pixel(double value) const { return first_ + (last_ - first_) * fraction(value); }
  double low() const { return low_; }
  double high() const { return high_; }

  std::vector<double> ticks(int count) const {
    if (scale_ == Scale::kLinear) return nice_ticks(low_, high_, count);
    // Powers of two where they are few enough, else of ten.
    const bool twos = std::log2(high_ / low_) <= 12;
    const double base = twos ? 2 : 10;
    std::vector<double> ticks;
    for (double exponent = std::ceil(std::log(low_) / std::log(base) - 1e-9);; ++exponent) {
      const double tick = std::pow(base, exponent);
      if (tick > high_ * (1 + 1e-9)) break;
      ticks.push_back(tick);
    }
    return ticks;
  }

 private:
  double fraction(double value) const {
    if (scale_ == Scale::kLog) return std::log(value / low_) / std::log(high_ / low_);
    return (value - low_) / (high_ - low_);
  }

  Scale scale_;
  double low_;
  double high_;
  double first_;
  double last_;
};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void add(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

bool drawable(const LineChart& chart, const Point& point) {
  const auto fits = [](Scale scale, double value) {
    return std::isfinite(value) && (scale == Scale::kLinear || value > 0);
  };
  return fits(chart.x_scale, point.x) && fits(chart.y_scale, point.y);
}

Axis make_x_axis(const LineChart& chart) {
  Range range;
  for (const auto& series : chart.series) {
    for (const auto& point : series.points) {
      if (drawable(chart, point)) range.add(point.x);
    }
  }
  if (range.empty()) range = {1, 2};
  if (chart.x_scale == Scale::kLinear) range.add(0);
  return {chart.x_scale, range.low, range.high, kLeft, kWidth - kRight};
}

Axis make_y_axis(const LineChart& chart) {
  Range range;
  for (const auto& series : chart.series) {
    for (const auto& point : series.points) {
      if (drawable(chart, point)) range.add(point.y);
    }
  }
  if (range.empty()) range = {1, 2};
  if (chart.y_scale == Scale::kLinear) {
    const double padding = std::max(0.05 * (range.high - range.low), 1e-9);
    range = {range.low - padding, range.high + padding};
  } else {
    range = {range.low / 1.15, range.high * 1.15};
  }
  return {chart.y_scale, chart.y_min.value_or(range.low), chart.y_max.value_or(range.high), kHeight - kBottom, kTop};
}

void draw_axes(std::ostringstream& svg, const LineChart& chart, const Axis& x, const Axis& y) {
  const std::string left = coordinate(kLeft);
  const std::string right = coordinate(kWidth - kRight);
  const std::string bottom = coordinate(kHeight - kBottom);
  for (const double tick : y.ticks(6)) {
    const std::string at = coordinate(y.pixel(tick));
    svg << "<line class='grid' x1='" << left << "' x2='" << right << "' y1='" << at << "' y2='" << at << "'/>"
        << "<text class='tick' text-anchor='end' x='" << coordinate(kLeft - 8) << "' y='" << at << "' dy='0.32em'>"
        << short_number(tick) << "</text>\n";
  }
  for (const double tick : x.ticks(8)) {
    const std::string at = coordinate(x.pixel(tick));
    svg << "<line class='axis' x1='" << at << "' x2='" << at << "' y1='" << bottom << "' y2='"
        << coordinate(kHeight - kBottom + 5) << "'/><text class='tick' text-anchor='middle' x='" << at << "' y='"
        << coordinate(kHeight - kBottom + 19) << "'>" << short_number(tick) << "</text>\n";
  }
  svg << "<line class='axis' x1='" << left << "' x2='" << right << "' y1='" << bottom << "' y2='" << bottom << "'/>\n"
      << "<text class='label' text-anchor='middle' x='" << coordinate((kLeft + kWidth - kRight) / 2) << "' y='"
      << coordinate(kHeight - 10) << "'>" << escape_html(chart.x_label) << "</text>\n"
      << "<text class='label' text-anchor='middle' transform='translate(14 "
      << coordinate((kTop + kHeight - kBottom) / 2) << ") rotate(-90)'>" << escape_html(chart.y_label) << "</text>\n";
}

void draw_marks(std::ostringstream& svg, const LineChart& chart, const Axis& x) {
  double label_y = kTop + 12;
  for (const auto& mark : chart.marks) {
    const double at = x.pixel(mark.x);
    // The label stands on the side with more room.
    const bool before = at > (kLeft + kWidth - kRight) / 2;
    svg << "<line class='mark' stroke='" << palette(mark.color) << "' x1='" << coordinate(at) << "' x2='"
        << coordinate(at) << "' y1='" << coordinate(kTop) << "' y2='" << coordinate(kHeight - kBottom) << "'/>"
        << "<text class='tick' fill='" << palette(mark.color) << "' text-anchor='" << (before ? "end" : "start")
        << "' x='" << coordinate(at + (before ? -6 : 6)) << "' y='" << coordinate(label_y) << "'>"
        << escape_html(mark.label) << "</text>\n";
    label_y += 15;
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

std::string to_svg(const LineChart& chart) {
  const Axis x = make_x_axis(chart);
  const Axis y = make_y_axis(chart);
  // Ids are shared by all of a page's charts.
  const std::string clip_id = "frame-" + std::to_string(std::hash<std::string>{}(chart.title + chart.x_label));
  std::ostringstream svg;
  svg << "<figure><h3>" << escape_html(chart.title) << "</h3>\n<svg class='chart' role='img' aria-label='"
      << escape_html(chart.title) << "' viewBox='0 0 " << kWidth << " " << kHeight << "'>\n"
      << "<defs><clipPath id='" << clip_id << "'><rect x='" << kLeft << "' y='" << kTop << "' width='"
      << kWidth - kLeft - kRight << "' height='" << kHeight - kTop - kBottom << "'/></clipPath></defs>\n";
  draw_axes(svg, chart, x, y);
  draw_marks(svg, chart, x);
  svg << "<g clip-path='url(#" << clip_id << ")'>\n";
  for (const auto& series : chart.series) draw_series(svg, chart, series, x, y);
  svg << "</g></svg>\n";
  draw_legend(svg, chart);
  svg << "</figure>\n";
  return svg.str();
}

}  // namespace lighthouse::report
