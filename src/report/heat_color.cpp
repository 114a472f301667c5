#include "report/heat_color.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "report/html_page.h"

namespace lighthouse::report {
namespace {

using Color = std::array<double, 3>;  // red, green and blue, 0 to 255
using Stops = std::array<Color, 5>;   // at equal distances

constexpr Stops kOnLight = {{{237, 242, 247}, {182, 209, 232}, {98, 160, 206}, {30, 101, 163}, {7, 42, 94}}};
constexpr Stops kOnDark = {{{29, 37, 46}, {30, 61, 94}, {38, 98, 152}, {86, 155, 214}, {186, 222, 252}}};

Color color_of(const Stops& stops, int step) {
  const double place = static_cast<double>(step) / kHeatSteps * static_cast<double>(stops.size() - 1);
  const size_t low = std::min(static_cast<size_t>(place), stops.size() - 2);
  const double part = place - static_cast<double>(low);
  Color color{};
  for (size_t i = 0; i < color.size(); ++i)
    color[i] = std::round((1 - part) * stops[low][i] + part * stops[low + 1][i]);
  return color;
}

/// Relative luminance, as the guidelines for accessible pages (WCAG 2) define it.
double luminance(const Color& color) {
  constexpr Color kWeights = {0.2126, 0.7152, 0.0722};
  double sum = 0;
  for (size_t i = 0; i < color.size(); ++i) {
    const double part = color[i] / 255;
    sum += kWeights[i] * (part <= 0.03928 ? part / 12.92 : std::pow((part + 0.055) / 1.055, 2.4));
  }
  return sum;
}

std::string style_of(const Stops& stops) {
  // Where black and white are equally far from a colour: one of them always has a contrast of 4.5 to it.
  constexpr double kMiddle = 0.179;
  std::string css;
  for (int step = 0; step <= kHeatSteps; ++step) {
    const Color color = color_of(stops, step);
    std::array<char, 96> rule{};
    std::snprintf(rule.data(), rule.size(), ".v%d{--h:#%02x%02x%02x;color:#%s}", step, static_cast<int>(color[0]),
                  static_cast<int>(color[1]), static_cast<int>(color[2]), luminance(color) > kMiddle ? "000" : "fff");
    css += rule.data();
  }
  return css + "\n";
}

}  // namespace

int heat_step(double value) {
  if (std::isnan(value)) return 0;
  return static_cast<int>(std::lround(std::clamp(value, 0.0, 1.0) * kHeatSteps));
}

std::string heat_class(int step) { return "v" + std::to_string(step); }

std::string heat_style() {
  return style_of(kOnLight) + "@media screen and (prefers-color-scheme: dark) {\n" + style_of(kOnDark) +
         "}\n[class^=v], [class*=' v'] { fill: var(--h); background: var(--h); }\n";
}

std::string heat_legend(const std::vector<HeatKey>& keys) {
  std::string html = "<p class='keys'>";
  for (const auto& key : keys)
    html += "<span class='key'><i class='swatch " + heat_class(heat_step(key.value)) + "'></i>" +
            escape_html(key.label) + "</span> ";
  return html + "</p>\n";
}

}  // namespace lighthouse::report
