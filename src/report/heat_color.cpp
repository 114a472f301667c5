#include "report/heat_color.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "report/html_page.h"

namespace lighthouse::report {
namespace {

/// Red, green and blue at equal distances, each darker than the one before.
constexpr std::array<std::array<double, 3>, 5> kStops = {
    {{237, 242, 247}, {182, 209, 232}, {98, 160, 206}, {30, 101, 163}, {7, 42, 94}}};

constexpr double kDark = 0.55;  // from here on text is white

}  // namespace

int heat_step(double value) {
  if (std::isnan(value)) return 0;
  return static_cast<int>(std::lround(std::clamp(value, 0.0, 1.0) * kHeatSteps));
}

std::string heat_color(double value) {
  const double place = static_cast<double>(heat_step(value)) / kHeatSteps * static_cast<double>(kStops.size() - 1);
  const size_t low = std::min(static_cast<size_t>(place), kStops.size() - 2);
  const double part = place - static_cast<double>(low);
  std::array<int, 3> color{};
  for (size_t i = 0; i < color.size(); ++i)
    color[i] = static_cast<int>(std::lround((1 - part) * kStops[low][i] + part * kStops[low + 1][i]));
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "#%02x%02x%02x", color[0], color[1], color[2]);
  return text.data();
}

std::string heat_text_color(double value) { return value >= kDark ? "#fff" : "#1c2733"; }

std::string heat_legend(const std::vector<HeatKey>& keys) {
  std::string html = "<p class='legend'>";
  for (const auto& key : keys)
    html += "<span class='key'><svg width='18' height='12' aria-hidden='true'><rect width='18' height='12' fill='" +
            heat_color(key.value) + "'/></svg>" + escape_html(key.label) + "</span> ";
  return html + "</p>\n";
}

}  // namespace lighthouse::report
