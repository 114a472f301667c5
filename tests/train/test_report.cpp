// Charts, tables and pages.
#include <cmath>
#include <set>

#include "report/html_page.h"
#include "temporary_folder.h"

namespace lighthouse::test {
namespace {

TEST(Report, RoundTicks) {
  EXPECT_EQ(report::nice_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  const auto ticks = report::nice_ticks(0.9, 2.1, 6);
  ASSERT_EQ(ticks.size(), 6U);
  for (size_t i = 0; i < ticks.size(); ++i) EXPECT_NEAR(ticks[i], 1.0 + 0.2 * static_cast<double>(i), 1e-12);
  EXPECT_EQ(report::nice_ticks(3, 3, 5), (std::vector<double>{3}));
  EXPECT_EQ(report::nice_ticks(1e17, 1e17 + 64, 5), (std::vector<double>{1e17}))
      << "steps below the numbers' precision";
  EXPECT_EQ(report::nice_ticks(-3, -1, 2), (std::vector<double>{-3, -2, -1}));
}

TEST(Report, ShortNumbers) {
  EXPECT_EQ(report::short_number(0), "0");
  EXPECT_EQ(report::short_number(0.35), "0.35");
  EXPECT_EQ(report::short_number(4388), "4388");
  EXPECT_EQ(report::short_number(65536), "66K");
  EXPECT_EQ(report::short_number(1.25e6), "1.2M");
  EXPECT_EQ(report::short_number(-3e9), "-3G");
  // Where rounding reaches the next unit, that one is written.
  EXPECT_EQ(report::short_number(9999), "9999");
  EXPECT_EQ(report::short_number(9999.6), "10K");
  EXPECT_EQ(report::short_number(999'960), "1M");
  EXPECT_EQ(report::short_number(1.5e12), "1.5T");
  EXPECT_EQ(report::short_number(1e300), "1e+300");
  EXPECT_EQ(report::short_number(NAN), "NaN");
  EXPECT_EQ(report::short_number(-INFINITY), "-inf");
  EXPECT_EQ(report::short_duration(0.0123), "0.0123 ms");
  EXPECT_EQ(report::short_duration(999.9), "1 s");
  EXPECT_EQ(report::short_duration(1.2e6), "20 min");
  EXPECT_EQ(report::short_bytes(12), "12 B");
  EXPECT_EQ(report::short_bytes(999'900), "1 MB");
  EXPECT_EQ(report::short_bytes(1.55e12), "1.55 TB");
}

TEST(Report, TablesAlignInATerminal) {
  const report::Table table{{"", "a→b", "c"}, {{"x", "1", "22"}, {"long", "333", "4"}}};
  EXPECT_EQ(report::to_text(table), "      a→b   c\n----  ---  --\nx       1  22\nlong  333   4\n");
}

report::LineChart chart_of(const std::vector<report::Point>& points) {
  report::LineChart chart;
  chart.title = "a < b";
  chart.series = {{.name = "s & t", .points = points, .color = 0}};
  return chart;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Report, ChartsDrawWhatIsFinite) {
  const std::string figure = report::to_figure(chart_of({{1, 1}, {2, NAN}, {3, 2}, {4, 3}, {5, INFINITY}}));
  EXPECT_TRUE(has(figure, "a &lt; b") && has(figure, "s &amp; t"));
  EXPECT_FALSE(has(figure, "nan") || has(figure, "inf"));
  EXPECT_TRUE(has(figure, "2 points without a finite value that fits the axes left out")) << figure;
  EXPECT_TRUE(has(figure, "<circle")) << "a point between gaps is a dot";
  EXPECT_TRUE(has(report::to_figure(chart_of({{1, NAN}})), "no finite value to draw"));
  EXPECT_TRUE(has(report::to_figure(chart_of({})), "no finite value to draw"));
  EXPECT_TRUE(has(report::to_figure(chart_of({{1, 1}})), "<circle")) << "one point is a chart too";
  auto log = chart_of({{1, 0}, {2, -1}, {3, 2}, {4, 4}});
  log.y_scale = report::Scale::kLog;
  EXPECT_TRUE(has(report::to_figure(log), "2 points without a finite value"));
  auto cut = chart_of({{1, 100}, {2, 1}, {3, 2}});
  cut.y_max = 5;
  EXPECT_TRUE(has(report::to_figure(cut), "1 point above the frame cut off"));
}

/// The labels of a chart's y axis.
std::set<std::string> y_labels(const report::LineChart& chart, size_t& count) {
  const std::string figure = report::to_figure(chart);
  std::set<std::string> labels;
  const std::string start = "text-anchor='end' x='-8'";
  for (size_t at = figure.find(start); at != std::string::npos; at = figure.find(start, at + 1), ++count) {
    const size_t begin = figure.find('>', at) + 1;
    labels.insert(figure.substr(begin, figure.find('<', begin) - begin));
  }
  return labels;
}

TEST(Report, LabelsOfAnAxisDiffer) {
  for (const auto& [low, high] : std::vector<std::pair<double, double>>{{2.5, 2.5},
                                                                        {0, 0},
                                                                        {-3, -3},
                                                                        {1, 1.00001},
                                                                        {12'300, 12'340},
                                                                        {1e6, 1e6 + 1},
                                                                        {-1e-9, 1e-9},
                                                                        {1e99, 1.1e99},
                                                                        {-1e90, 1e90}}) {
    size_t count = 0;
    const auto labels = y_labels(chart_of({{1, low}, {2, high}}), count);
    EXPECT_GE(count, 2U) << low << " to " << high;
    EXPECT_EQ(labels.size(), count) << low << " to " << high;
  }
  for (const auto& [low, high] :
       std::vector<std::pair<double, double>>{{2.1, 4.5}, {3, 3}, {1e-90, 1e90}, {0.001, 1000}}) {
    auto chart = chart_of({{1, low}, {2, high}});
    chart.y_scale = report::Scale::kLog;
    size_t count = 0;
    const auto labels = y_labels(chart, count);
    EXPECT_TRUE(count >= 2 && count <= 12 && labels.size() == count) << low << " to " << high << ": " << count;
  }
}

TEST(Report, MoreLinesThanColoursDiffer) {
  report::LineChart chart = chart_of({{1, 1}, {2, 2}});
  chart.series.push_back(chart.series.front());
  chart.series.back().color = 6;
  const std::string figure = report::to_figure(chart);
  EXPECT_TRUE(has(figure, "class='c0'") && has(figure, "stroke-dasharray")) << "the colour again, with dashes";
}

TEST(Report, TextBecomesValidHtml) {
  EXPECT_EQ(report::escape_html("<a href='x'>&\"é→\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;é→&quot;");
  EXPECT_EQ(report::escape_html("a\xE3\xC7z\xFF"), "a\xEF\xBF\xBD\xEF\xBF\xBDz\xEF\xBF\xBD");
  EXPECT_EQ(report::escape_html("\xED\xA0\x80\xC0\xAF"),
            "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(report::escape_html(std::string("\x00\x1b[31m\x7f\xC2\x85\n\t", 11)), "\\x00\\x1b[31m\\x7f\\xc2\\x85\n\t");
}

TEST(Report, PagesAreWhole) {
  const TemporaryFolder folder;
  report::HtmlPage page("title <1>");
  page.paragraph("a & b");
  page.table({{"h"}, {{"<x>"}}});
  page.write(folder.path() / "page.html");
  std::ifstream file(folder.path() / "page.html");
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  EXPECT_NE(text.find("title &lt;1&gt;"), std::string::npos);
  EXPECT_NE(text.find("<th scope='col'>h</th>"), std::string::npos);
  EXPECT_NE(text.find("<th scope='row'>&lt;x&gt;</th>"), std::string::npos);
  EXPECT_NE(text.find("role='region' tabindex='0' aria-label='title &lt;1&gt;'"), std::string::npos);
  EXPECT_EQ(text.find("<script"), std::string::npos);
  expect_error([&] { page.write("/no/such/folder/page.html"); }, {"/no/such/folder/page.html"});
}

}  // namespace
}  // namespace lighthouse::test
