#include "report/heat_matrix.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <sstream>

#include "report/heat_color.h"
#include "report/html_page.h"

namespace lighthouse::report {
namespace {

constexpr size_t kNumbersUpTo = 16;  // larger matrices are shades alone

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f", value);
  return text.data();
}

void draw_cell(std::ostringstream& svg, double value, int x, int y, int size, bool numbers) {
  const bool empty = std::isnan(value);
  svg << "<rect x='" << x << "' y='" << y << "' width='" << size - 1 << "' height='" << size - 1 << "' fill='"
      << (empty ? "#f5f5f3" : heat_color(value)) << "'/>";
  if (empty || !numbers) return;
  svg << "<text font-size='12' text-anchor='middle' x='" << x + size / 2 << "' y='" << y + size / 2 + 4 << "' fill='"
      << heat_text_color(value) << "'>" << number(value) << "</text>";
}

std::string to_figure(const HeatMatrix& matrix) {
  const auto& rows = matrix.labels;
  const auto& columns = matrix.columns.empty() ? rows : matrix.columns;
  const size_t count = std::max(rows.size(), columns.size());
  const bool numbers = count <= kNumbersUpTo;
  const int size = numbers ? 40 : 12;
  const int margin = matrix.columns.empty() ? 28 : 52;
  const auto extent = [&](size_t cells) { return margin + size * static_cast<int>(cells); };
  const auto labelled = [&](size_t i) { return numbers || i % 4 == 0; };
  std::ostringstream svg;
  svg << "<figure><h3>" << escape_html(matrix.title) << "</h3><svg role='img' aria-label='" << escape_html(matrix.title)
      << "' width='" << extent(columns.size()) << "' height='" << extent(rows.size()) << "'>\n";
  for (size_t j = 0; j < columns.size(); ++j) {
    if (!labelled(j)) continue;
    svg << "<text class='tick' text-anchor='middle' x='" << extent(j) + size / 2 << "' y='" << margin - 7 << "'>"
        << escape_html(columns[j]) << "</text>\n";
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    if (labelled(i)) {
      svg << "<text class='tick' text-anchor='end' x='" << margin - 6 << "' y='" << extent(i) + size / 2 + 4 << "'>"
          << escape_html(rows[i]) << "</text>\n";
    }
    for (size_t j = 0; j < columns.size(); ++j)
      draw_cell(svg, matrix.values[i][j], extent(j), extent(i), size, numbers);
  }
  svg << "</svg><figcaption>" << escape_html(matrix.note) << "</figcaption></figure>\n";
  return svg.str();
}

}  // namespace

std::string to_html(const std::vector<HeatMatrix>& matrices) {
  std::string html = "<div class='matrices'>\n";
  for (const auto& matrix : matrices) html += to_figure(matrix);
  return html + "</div>\n";
}

}  // namespace lighthouse::report
