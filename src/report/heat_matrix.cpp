#include "report/heat_matrix.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "report/axis.h"
#include "report/heat_color.h"
#include "report/html_page.h"

namespace lighthouse::report {
namespace {

constexpr size_t kNumbersUpTo = 16;  // larger matrices are shades alone

std::string cell(double value) {
  if (std::isnan(value)) return "<td></td>";
  return "<td class='" + heat_class(heat_step(value)) + "'>" + format("%.2f", value) + "</td>";
}

std::string table_of(const HeatMatrix& matrix, const std::vector<std::string>& columns) {
  std::string html = "<table class='heat'><thead><tr><td></td>";
  for (const auto& column : columns) html += "<th scope='col'>" + escape_html(column) + "</th>";
  html += "</tr></thead><tbody>\n";
  for (size_t i = 0; i < matrix.labels.size(); ++i) {
    html += "<tr><th scope='row'>" + escape_html(matrix.labels[i]) + "</th>";
    for (const double value : matrix.values[i]) html += cell(value);
    html += "</tr>\n";
  }
  return html + "</tbody></table>";
}

std::string picture_of(const HeatMatrix& matrix, const std::vector<std::string>& columns) {
  constexpr int kSize = 12;
  constexpr int kMargin = 36;
  constexpr size_t kLabelEvery = 4;
  const auto extent = [&](size_t cells) { return kMargin + kSize * static_cast<int>(cells); };
  std::ostringstream svg;
  svg << "<svg role='img' aria-label='" << escape_html(matrix.title + ", as shades") << "' width='"
      << extent(columns.size()) << "' height='" << extent(matrix.labels.size()) << "'>\n";
  for (size_t j = 0; j < columns.size(); j += kLabelEvery)
    svg << "<text class='tick' text-anchor='middle' x='" << extent(j) + kSize / 2 << "' y='" << kMargin - 7 << "'>"
        << escape_html(columns[j]) << "</text>\n";
  for (size_t i = 0; i < matrix.labels.size(); ++i) {
    if (i % kLabelEvery == 0)
      svg << "<text class='tick' text-anchor='end' x='" << kMargin - 6 << "' y='" << extent(i) + kSize / 2 + 4 << "'>"
          << escape_html(matrix.labels[i]) << "</text>\n";
    for (size_t j = 0; j < matrix.values[i].size(); ++j) {
      const double value = matrix.values[i][j];
      if (std::isnan(value)) continue;
      svg << "<rect class='" << heat_class(heat_step(value)) << "' x='" << extent(j) << "' y='" << extent(i)
          << "' width='" << kSize - 1 << "' height='" << kSize - 1 << "'/>";
    }
  }
  svg << "</svg>";
  return svg.str();
}

std::string matrix_figure(const HeatMatrix& matrix) {
  const auto& columns = matrix.columns.empty() ? matrix.labels : matrix.columns;
  const bool numbers = std::max(matrix.labels.size(), columns.size()) <= kNumbersUpTo;
  const std::string note = matrix.note.empty() ? "" : "<p>" + escape_html(matrix.note) + "</p>";
  return "<figure><figcaption><b>" + escape_html(matrix.title) + "</b>" + note + "</figcaption>" +
         scrolling(numbers ? table_of(matrix, columns) : picture_of(matrix, columns), matrix.title) + "</figure>\n";
}

}  // namespace

std::string to_html(const std::vector<HeatMatrix>& matrices) {
  std::string html = "<div class='matrices'>\n";
  for (const auto& matrix : matrices) html += matrix_figure(matrix);
  return html + "</div>\n";
}

}  // namespace lighthouse::report
