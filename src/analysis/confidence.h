// 95% confidence intervals of shares and of means.
#pragma once

#include <vector>

namespace lighthouse::analysis {

struct Interval {
  double low = 0;
  double high = 0;
};

/// Wilson's score interval of a share. `successes` need not be whole: a sum of shares, one from each trial, varies no
/// more than a sum of zeros and ones of the same mean, so that the interval is on the safe side then. No trials: 0
/// to 1.
Interval wilson_interval(double successes, double trials);

struct Mean {
  double value = 0;
  Interval interval;  ///< Student's t; NaN where there are fewer than two values.
};

/// NaN of no values.
Mean mean_of(const std::vector<double>& values);

/// The 97.5% point of Student's distribution.
double student_quantile(int degrees);

}  // namespace lighthouse::analysis
