// One scale of colours from pale to dark (on a dark page from dark to bright): of a single hue, so that it orders
// itself for colour-blind readers and in print without colour.
#pragma once

#include <string>
#include <vector>

namespace lighthouse::report {

/// Colours that a value is rounded to, so that neighbours can be drawn as one.
constexpr int kHeatSteps = 24;

/// The step, 0 to kHeatSteps, of a value from 0 to 1; values outside are clipped, NaN is 0.
int heat_step(double value);

/// The class of elements in a step's colour: "v12". heat_style() says what it looks like.
std::string heat_class(int step);

/// CSS of the classes: the colour as fill and as background, with text that is readable on it.
std::string heat_style();

struct HeatKey {
  double value = 0;
  std::string label;
};

/// A line of swatches with their meaning, as an HTML fragment.
std::string heat_legend(const std::vector<HeatKey>& keys);

}  // namespace lighthouse::report
