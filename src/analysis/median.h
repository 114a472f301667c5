// The median of timings.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace lighthouse::analysis {

/// Of at least one value; between the middle two of an even number.
inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace lighthouse::analysis
