// From data to pixels: what charts in pages and standalone figures share.
#pragma once

#include <string>
#include <vector>

#include "report/line_chart.h"

namespace lighthouse::report {

/// A picture, and the margins around the frame that lines are drawn in.
struct Frame {
  double width = 760;
  double height = 400;
  double left = 84;
  double right = 20;
  double top = 20;
  double bottom = 60;

  double right_edge() const { return width - right; }
  double bottom_edge() const { return height - bottom; }
};

/// One axis: data values to pixels.
class Axis {
 public:
  Axis(Scale scale, double low, double high, double first_pixel, double last_pixel);

  double pixel(double value) const { return first_ + (last_ - first_) * fraction(value); }
  double low() const { return low_; }
  double high() const { return high_; }
  std::vector<double> ticks(int count) const;

 private:
  double fraction(double value) const;

  Scale scale_;
  double low_;
  double high_;
  double first_;
  double last_;
};

/// Whether the point has a place on the chart's axes.
bool drawable(const LineChart& chart, const Point& point);

Axis make_x_axis(const LineChart& chart, const Frame& frame);
Axis make_y_axis(const LineChart& chart, const Frame& frame);

/// Whether the value lies inside the axis's ends.
bool within(const Axis& axis, double value);

/// The chart's own ticks on its axis, or about `count` round numbers where it has none there.
std::vector<double> x_ticks_of(const LineChart& chart, const Axis& x, int count);

struct Tick {
  double value = 0;
  std::string label;
};

/// Labels that differ where the values do.
std::vector<Tick> ticks_of(const std::vector<double>& values, NumberFormat format);

/// The ticks without those that would run into the one before.
std::vector<Tick> spaced(const std::vector<Tick>& ticks, const Axis& axis, double pixels_per_unit);

/// Colours of the palette. Series beyond them take one again, with dashes.
constexpr int kColors = 6;

/// The class of what is drawn in a series' colour: "c0". chart_style() says what it looks like.
std::string series_class(int color);

/// A stroke-dasharray attribute, or nothing.
std::string dashes(const Series& series);

/// One number by a printf pattern.
std::string format(const char* pattern, double value);

/// Pixels, to a tenth.
std::string coordinate(double value);

}  // namespace lighthouse::report
