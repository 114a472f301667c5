// Tables of numbers with shaded cells.
#pragma once

#include <string>
#include <vector>

namespace lighthouse::report {

struct HeatMatrix {
  std::string title;
  std::string note;                         ///< A line under the title.
  std::vector<std::string> labels;          ///< Of rows, and of columns where those have none of their own.
  std::vector<std::vector<double>> values;  ///< From 0 (pale) to 1 (dark); NaN leaves a cell empty.
  std::vector<std::string> columns = {};    ///< Labels of columns.
};

/// The matrices side by side where the page is wide enough, as an HTML fragment.
std::string to_html(const std::vector<HeatMatrix>& matrices);

}  // namespace lighthouse::report
