// Where charts put things: pixels of values, round numbers on logarithmic axes, gaps.
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "report/axis.h"
#include "report/line_chart.h"

namespace lighthouse::test {
namespace {

using report::Axis;
using report::Frame;
using report::LineChart;
using report::Scale;

TEST(Axis, LinearAndLogarithmicPixels) {
  const Axis linear(Scale::kLinear, 10, 30, 100, 500);
  EXPECT_DOUBLE_EQ(linear.pixel(10), 100);
  EXPECT_DOUBLE_EQ(linear.pixel(15), 200);
  EXPECT_DOUBLE_EQ(linear.pixel(30), 500);
  const Axis log(Scale::kLog, 10, 1000, 100, 500);
  EXPECT_NEAR(log.pixel(10), 100, 1e-9);
  EXPECT_NEAR(log.pixel(100), 300, 1e-9);
  EXPECT_NEAR(log.pixel(1000), 500, 1e-9);
  const Axis point(Scale::kLinear, 3, 3, 0, 100);  // one value: still an axis
  EXPECT_TRUE(std::isfinite(point.pixel(3)));
}

TEST(Axis, TicksOfALogarithmicAxisAreRound) {
  const auto expect_ticks = [](const Axis& axis, const std::vector<double>& expected) {
    const auto ticks = axis.ticks(6);
    ASSERT_EQ(ticks.size(), expected.size());
    for (size_t i = 0; i < ticks.size(); ++i) EXPECT_NEAR(ticks[i], expected[i], 1e-9 * expected[i]);
  };
  expect_ticks({Scale::kLog, 1, 50, 0, 1}, {1, 2, 5, 10, 20, 50});
  expect_ticks({Scale::kLog, 0.3, 4, 0, 1}, {0.5, 1, 2});
  expect_ticks({Scale::kLog, 10, 20000, 0, 1}, {10, 100, 1000, 10000});
}

LineChart line_of(const std::vector<report::Point>& points) {
  LineChart chart;
  chart.series = {{.name = "line", .points = points}};
  return chart;
}

TEST(Chart, LargerIsToTheRightAndHigher) {
  const Frame frame;
  LineChart chart = line_of({{0, 1}, {10, 5}});
  for (const Scale scale : {Scale::kLinear, Scale::kLog}) {
    chart.y_scale = scale;
    const Axis x = make_x_axis(chart, frame);
    const Axis y = make_y_axis(chart, frame);
    EXPECT_LT(x.pixel(0), x.pixel(10));
    EXPECT_GT(y.pixel(1), y.pixel(5)) << "pixels count from the top";
    for (const double value : {1.0, 5.0}) {
      EXPECT_GE(y.pixel(value), frame.top);
      EXPECT_LE(y.pixel(value), frame.bottom_edge());
    }
    EXPECT_DOUBLE_EQ(x.pixel(0), frame.left);
    EXPECT_DOUBLE_EQ(x.pixel(10), frame.right_edge());
  }
}

/// Of the first line that is drawn: "M" begins a stroke, "L" goes on.
std::string strokes_of(const std::string& svg) {
  const size_t line = svg.find("<path class='line'");
  if (line == std::string::npos) return "no line";
  const size_t begin = svg.find(" d='", line) + 4;
  std::string strokes;
  for (const char c : svg.substr(begin, svg.find('\'', begin) - begin)) {
    if (c == 'M' || c == 'L') strokes += c;
  }
  return strokes;
}

TEST(Chart, LinesBreakWhereThereIsNoValue) {
  LineChart log = line_of({{1, 1}, {2, 0}, {3, 3}, {4, 4}});
  log.y_scale = Scale::kLog;
  for (const auto draw : {report::to_figure, report::to_standalone_svg}) {
    EXPECT_EQ(strokes_of(draw(line_of({{1, 1}, {2, 2}, {3, NAN}, {4, 3}, {5, 4}}))), "MLML");
    EXPECT_EQ(strokes_of(draw(line_of({{1, 1}, {2, 2}, {3, INFINITY}, {4, 3}, {5, 4}}))), "MLML");
    EXPECT_EQ(strokes_of(draw(log)), "MML") << "a logarithmic axis has no zero";
  }
}

}  // namespace
}  // namespace lighthouse::test
