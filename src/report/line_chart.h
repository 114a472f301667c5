// Line charts as SVG text, for pages that need no script and no network.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lighthouse::report {

struct Point {
  double x = 0;
  double y = 0;
};

struct Series {
  std::string name;
  std::vector<Point> points;  ///< In the order to draw; non-finite points break the line.
  int color = 0;              ///< Index into a fixed palette that stays apart for colour-blind readers.
  bool dashed = false;
  bool markers = false;  ///< A dot at each point.
};

/// A labelled vertical line, such as the switch between training stages.
struct VerticalMark {
  double x = 0;
  std::string label;
  int color = 0;
};

enum class Scale { kLinear, kLog };

struct LineChart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Series> series;
  std::vector<VerticalMark> marks;
  Scale x_scale = Scale::kLinear;
  Scale y_scale = Scale::kLinear;
  std::optional<double> y_min;  ///< Default: fitted to the data.
  std::optional<double> y_max;  ///< Points above are cut off at the frame.
};

/// The chart as one <svg> element that scales with its container.
std::string to_svg(const LineChart& chart);

/// Round numbers that span [low, high] in about `count` steps.
std::vector<double> nice_ticks(double low, double high, int count);

/// "1.2M", "64K", "0.35": short forms for axes and tables.
std::string short_number(double value);

}  // namespace lighthouse::report
