// Charts, tables and pages.
#include <cmath>

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
}

TEST(Report, ShortNumbers) {
  EXPECT_EQ(report::short_number(0), "0");
  EXPECT_EQ(report::short_number(0.35), "0.35");
  EXPECT_EQ(report::short_number(4388), "4388");
  EXPECT_EQ(report::short_number(65536), "66K");
  EXPECT_EQ(report::short_number(1.25e6), "1.2M");
  EXPECT_EQ(report::short_number(-3e9), "-3G");
}

TEST(Report, TablesAlignInATerminal) {
  const report::Table table{{"", "a→b", "c"}, {{"x", "1", "22"}, {"long", "333", "4"}}};
  EXPECT_EQ(report::to_text(table), "      a→b   c\n----  ---  --\nx       1  22\nlong  333   4\n");
}

TEST(Report, ChartsDrawWhatIsFinite) {
  report::LineChart chart;
  chart.title = "a < b";
  chart.series = {{.name = "s & t", .points = {{1, 1}, {2, NAN}, {3, 2}, {4, 3}}, .color = 0}};
  const std::string svg = report::to_svg(chart);
  EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
  EXPECT_NE(svg.find("s &amp; t"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
  chart.series.clear();
  EXPECT_EQ(report::to_svg(chart).find("nan"), std::string::npos) << "an empty chart is still a chart";
}

TEST(Report, TextBecomesValidHtml) {
  EXPECT_EQ(report::escape_html("<a href='x'>&\"é→\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;é→&quot;");
  EXPECT_EQ(report::escape_html("a\xE3\xC7z\xFF"), "a\xEF\xBF\xBD\xEF\xBF\xBDz\xEF\xBF\xBD");
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
  EXPECT_NE(text.find("<td>&lt;x&gt;</td>"), std::string::npos);
  EXPECT_EQ(text.find("<script"), std::string::npos);
  expect_error([&] { page.write("/no/such/folder/page.html"); }, {"/no/such/folder/page.html"});
}

}  // namespace
}  // namespace lighthouse::test
