// Strips: many values over one axis, each row a line of shaded cells, in a page or in a terminal.
#pragma once

#include <string>
#include <vector>

namespace lighthouse::report {

struct HeatRow {
  std::string label;
  std::vector<double> values;  ///< From 0 (pale) to 1 (dark), evenly spaced over the axis.
};

/// Rows that belong together, under one name.
struct HeatGroup {
  std::string label;
  std::vector<HeatRow> rows;
};

/// All rows share the axis and have equally many values.
struct HeatStrips {
  std::string title;  ///< Never empty: the picture is called by it.
  std::string x_label;
  double x_begin = 0;  ///< Of the axis: where the first value starts,
  double x_end = 1;    ///< and where the last one ends.
  std::vector<HeatGroup> groups;
};

/// The strips as one <figure> that is as wide as its container.
std::string to_figure(const HeatStrips& strips);

/// One row of `columns` characters, at most one per value: taller blocks (or denser ASCII characters) for larger means.
std::string to_text_strip(const std::vector<double>& values, size_t columns, bool utf8);

/// The means of `bins` equal parts of the values, or the values themselves where there are no more.
std::vector<double> bin_means(const std::vector<double>& values, size_t bins);

}  // namespace lighthouse::report
