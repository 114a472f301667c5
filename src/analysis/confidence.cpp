#include "analysis/confidence.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

namespace lighthouse::analysis {
namespace {

constexpr double kNormal = 1.959963984540054;  // the normal distribution's 97.5% point
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

}  // namespace

Interval wilson_interval(double successes, double trials) {
  if (trials <= 0) return {0, 1};
  const double share = successes / trials;
  const double z2 = kNormal * kNormal / trials;
  const double center = (share + z2 / 2) / (1 + z2);
  const double half = kNormal * std::sqrt(share * (1 - share) / trials + z2 / (4 * trials)) / (1 + z2);
  // Rounding must not leave 0 or 1 outside where the share is that.
  return {share <= 0 ? 0 : std::max(0.0, center - half), share >= 1 ? 1 : std::min(1.0, center + half)};
}

double student_quantile(int degrees) {
  // Below 5 degrees the series of the normal quantile (Abramowitz and Stegun 26.7.5) is not good to three digits.
  constexpr std::array<double, 4> kFew = {12.7062047, 4.3026527, 3.1824463, 2.7764451};
  if (degrees < 1) return kNone;
  if (degrees <= 4) return kFew[static_cast<size_t>(degrees - 1)];
  const double z = kNormal;
  const double n = degrees;
  return z + (std::pow(z, 3) + z) / (4 * n) + (5 * std::pow(z, 5) + 16 * std::pow(z, 3) + 3 * z) / (96 * n * n) +
         (3 * std::pow(z, 7) + 19 * std::pow(z, 5) + 17 * std::pow(z, 3) - 15 * z) / (384 * n * n * n) +
         (79 * std::pow(z, 9) + 776 * std::pow(z, 7) + 1482 * std::pow(z, 5) - 1920 * std::pow(z, 3) - 945 * z) /
             (92160 * n * n * n * n);
}

Mean mean_of(const std::vector<double>& values) {
  if (values.empty()) return {kNone, {kNone, kNone}};
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  if (values.size() < 2) return {mean, {kNone, kNone}};
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double half = student_quantile(static_cast<int>(values.size()) - 1) * std::sqrt(squares / (count - 1) / count);
  return {mean, {mean - half, mean + half}};
}

}  // namespace lighthouse::analysis
