// One scale of colours from pale to dark: of a single hue, so that it orders itself for colour-blind readers and in
// print without colour.
#pragma once

#include <string>
#include <vector>

namespace lighthouse::report {

/// Colours that a value is rounded to, so that neighbours can be drawn as one.
constexpr int kHeatSteps = 24;

/// The step, 0 to kHeatSteps, of a value from 0 to 1; values outside are clipped, NaN is 0.
int heat_step(double value);

/// "#rrggbb" of a value from 0 (pale) to 1 (dark).
std::string heat_color(double value);

/// The colour that text on it is readable in.
std::string heat_text_color(double value);

struct HeatKey {
  double value = 0;
  std::string label;
};

/// A line of swatches with their meaning, as an HTML fragment.
std::string heat_legend(const std::vector<HeatKey>& keys);

}  // namespace lighthouse::report
