#include "report/axis.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <limits>

namespace lighthouse::report {
namespace {

/// Beyond these, differences and quotients of two values would not be numbers.
constexpr double kLargest = 1e100;
constexpr double kSmallestOnLog = 1e-100;

/// Values whose difference is a smaller part of their size than this are the same to a reader.
constexpr double kSame = 1e-9;

bool same(double low, double high) { return !(high - low > kSame * std::max(std::abs(low), std::abs(high))); }

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
/// Where the range has fewer than two of them, round numbers as on a linear axis.
std::vector<double> log_ticks(double low, double high, int count) {
  const double decades = std::log10(high) - std::log10(low);
  const bool powers_only = decades > 2.5;
  const double stride = std::max(1.0, std::ceil(decades / (count + 2)));
  std::vector<double> ticks;
  for (double exponent = std::floor(std::log10(low)); exponent <= std::log10(high) + 1; exponent += stride) {
    for (const double multiple : {1.0, 2.0, 5.0}) {
      if (powers_only && multiple != 1) continue;
      const double tick = multiple * std::pow(10.0, exponent);
      if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks.push_back(tick);
    }
  }
  return ticks.size() >= 2 ? ticks : nice_ticks(low, high, count);
}

}  // namespace

Axis::Axis(Scale scale, double low, double high, double first_pixel, double last_pixel)
    : scale_(scale), low_(low), high_(high), first_(first_pixel), last_(last_pixel) {
  if (!(high_ > low_)) high_ = scale_ == Scale::kLog ? low_ * 2 : low_ + std::max(1.0, std::abs(low_));
}

std::vector<double> Axis::ticks(int count) const {
  return scale_ == Scale::kLinear ? nice_ticks(low_, high_, count) : log_ticks(low_, high_, count);
}

double Axis::fraction(double value) const {
  if (scale_ == Scale::kLog) return std::log(value / low_) / std::log(high_ / low_);
  return (value - low_) / (high_ - low_);
}

bool drawable(const LineChart& chart, const Point& point) {
  const auto fits = [](Scale scale, double value) {
    return std::abs(value) <= kLargest && (scale == Scale::kLinear || value >= kSmallestOnLog);
  };
  return fits(chart.x_scale, point.x) && fits(chart.y_scale, point.y);
}

Axis make_x_axis(const LineChart& chart, const Frame& frame) {
  Range range = range_of(chart, &Point::x);
  if (chart.x_scale == Scale::kLinear) {
    range.add(0);
  } else if (same(range.low, range.high)) {
    range = {range.low / 1.5, range.high * 1.5};
  }
  return {chart.x_scale, range.low, range.high, frame.left, frame.right_edge()};
}

Axis make_y_axis(const LineChart& chart, const Frame& frame) {
  Range range = range_of(chart, &Point::y);
  if (chart.y_scale == Scale::kLog) {
    range = {range.low / 1.15, range.high * 1.15};
  } else if (same(range.low, range.high)) {
    const double padding = range.high == 0 ? 1 : 0.1 * std::abs(range.high);
    range = {range.low - padding, range.high + padding};
  } else {
    const double padding = 0.05 * (range.high - range.low);
    range = {range.low - padding, range.high + padding};
  }
  return {chart.y_scale, chart.y_min.value_or(range.low), chart.y_max.value_or(range.high), frame.bottom_edge(),
          frame.top};
}

bool within(const Axis& axis, double value) {
  const auto is = [&](double end) { return same(std::min(value, end), std::max(value, end)); };
  return (value >= axis.low() && value <= axis.high()) || is(axis.low()) || is(axis.high());
}

std::vector<double> x_ticks_of(const LineChart& chart, const Axis& x, int count) {
  std::vector<double> ticks;
  std::copy_if(chart.x_ticks.begin(), chart.x_ticks.end(), std::back_inserter(ticks),
               [&](double tick) { return within(x, tick); });
  return ticks.empty() ? x.ticks(count) : ticks;
}

std::vector<Tick> ticks_of(const std::vector<double>& values, NumberFormat format) {
  std::vector<Tick> ticks;
  for (const double value : values) ticks.push_back({value, format(value)});
  const auto equal = [](const Tick& a, const Tick& b) { return a.label == b.label; };
  // Short forms that do not tell neighbours apart are made longer.
  for (int digits = 5; digits <= 15 && std::adjacent_find(ticks.begin(), ticks.end(), equal) != ticks.end(); ++digits) {
    for (auto& tick : ticks) tick.label = report::format(("%." + std::to_string(digits) + "g").c_str(), tick.value);
  }
  return ticks;
}

std::vector<Tick> spaced(const std::vector<Tick>& ticks, const Axis& axis, double pixels_per_unit) {
  constexpr double kCharacter = 7.5;  // wide, of the size that ticks have
  constexpr double kGap = 12;
  std::vector<Tick> kept;
  double free_from = -std::numeric_limits<double>::infinity();
  for (const auto& tick : ticks) {
    const double middle = axis.pixel(tick.value) * pixels_per_unit;
    const double half = kCharacter * static_cast<double>(tick.label.size()) / 2;
    if (middle - half < free_from) continue;
    kept.push_back(tick);
    free_from = middle + half + kGap;
  }
  return kept;
}

std::string series_class(int color) { return "c" + std::to_string(color % kColors); }

std::string dashes(const Series& series) {
  if (series.dashed) return " stroke-dasharray='6 4'";
  const int round = series.color / kColors % 3;  // more series than colours
  return round == 0 ? "" : round == 1 ? " stroke-dasharray='2 3'" : " stroke-dasharray='12 3 2 3'";
}

std::string format(const char* pattern, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), pattern, value);
  return text.data();
}

std::string coordinate(double value) { return format("%.1f", value); }

}  // namespace lighthouse::report
