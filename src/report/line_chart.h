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
  std::string name;           ///< Empty: not in the legend.
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

/// A few words beside a point, on the side with more room.
struct Note {
  Point at;
  std::string text;
};

enum class Scale { kLinear, kLog };

/// How an axis writes its numbers.
using NumberFormat = std::string (*)(double value);

/// "1.2M", "64K", "0.35": short forms for axes and tables.
std::string short_number(double value);
/// "64K" for 65,536: lengths in tokens, of which powers of two are the round ones.
std::string short_length(double tokens);
/// "5 ms", "50 s".
std::string short_duration(double milliseconds);
/// "34 MB", by powers of ten.
std::string short_bytes(double bytes);

struct LineChart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Series> series;
  std::vector<VerticalMark> marks;
  Scale x_scale = Scale::kLinear;
  Scale y_scale = Scale::kLinear;
  std::optional<double> y_min;  ///< Default: fitted to the data.
  std::optional<double> y_max;  ///< Points beyond either are cut off at the frame.
  std::vector<Note> notes = {};
  std::vector<double> x_ticks = {};  ///< Default: round numbers.
  NumberFormat x_format = short_number;
  NumberFormat y_format = short_number;
};

/// The chart for a page, a <figure> that is as wide as its container, with text of one size; the page has
/// chart_style(). It says which points it leaves out.
std::string to_figure(const LineChart& chart);

/// The chart as an SVG file of its own: styles inside, each line named at its end.
std::string to_standalone_svg(const LineChart& chart);

/// CSS that charts need.
std::string chart_style();

/// Round numbers that span [low, high] in about `count` steps.
std::vector<double> nice_ticks(double low, double high, int count);

}  // namespace lighthouse::report
