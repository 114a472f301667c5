#include "report/axis.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

namespace lighthouse::report {
namespace {

constexpr std::array<const char*, 6> kPalette = {"#1f5fa8", "#d1571b", "#2a8a5c", "#8a4fa3", "#8c6d1f", "#555555"};

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

/// Of one coordinate of all that is drawn.
Range range_of(const LineChart& chart, double Point::*coordinate) {
  Range range;
  for (const auto& series : chart.series) {
    for (const auto& point : series.points) {
      if (drawable(chart, point)) range.add(point.*coordinate);
    }
  }
  return range.empty() ? Range{1, 2} : range;
}

/// Round numbers on a logarithmic axis: 1, 2 and 5 of each power of ten, or the powers alone where those are many.
std::vector<double> log_ticks(double low, double high) {
  const bool powers_only = std::log10(high / low) > 2.5;
  std::vector<double> ticks;
  for (double exponent = std::floor(std::log10(low)); exponent <= std::log10(high) + 1; ++exponent) {
    for (const double multiple : {1.0, 2.0, 5.0}) {
      if (powers_only && multiple != 1) continue;
      const double tick = multiple * std::pow(10.0, exponent);
      if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks.push_back(tick);
    }
  }
  return ticks;
}

}  // namespace

Axis::Axis(Scale scale, double low, double high, double first_pixel, double last_pixel)
    : scale_(scale), low_(low), high_(high), first_(first_pixel), last_(last_pixel) {
  if (!(high_ > low_)) high_ = scale_ == Scale::kLog ? low_ * 2 : low_ + 1;
}

std::vector<double> Axis::ticks(int count) const {
  return scale_ == Scale::kLinear ? nice_ticks(low_, high_, count) : log_ticks(low_, high_);
}

double Axis::fraction(double value) const {
  if (scale_ == Scale::kLog) return std::log(value / low_) / std::log(high_ / low_);
  return (value - low_) / (high_ - low_);
}

bool drawable(const LineChart& chart, const Point& point) {
  const auto fits = [](Scale scale, double value) {
    return std::isfinite(value) && (scale == Scale::kLinear || value > 0);
  };
  return fits(chart.x_scale, point.x) && fits(chart.y_scale, point.y);
}

Axis make_x_axis(const LineChart& chart, const Frame& frame) {
  Range range = range_of(chart, &Point::x);
  if (chart.x_scale == Scale::kLinear) range.add(0);
  return {chart.x_scale, range.low, range.high, frame.left, frame.right_edge()};
}

Axis make_y_axis(const LineChart& chart, const Frame& frame) {
  Range range = range_of(chart, &Point::y);
  if (chart.y_scale == Scale::kLinear) {
    const double padding = std::max(0.05 * (range.high - range.low), 1e-9);
    range = {range.low - padding, range.high + padding};
  } else {
    range = {range.low / 1.15, range.high * 1.15};
  }
  return {chart.y_scale, chart.y_min.value_or(range.low), chart.y_max.value_or(range.high), frame.bottom_edge(),
          frame.top};
}

const char* palette(int color) { return kPalette[static_cast<size_t>(color) % kPalette.size()]; }

std::string format(const char* pattern, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), pattern, value);
  return text.data();
}

std::string coordinate(double value) { return format("%.1f", value); }

}  // namespace lighthouse::report
