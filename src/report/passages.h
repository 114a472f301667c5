// Passages of a text, each marked within what stands around it, with a few figures.
#pragma once

#include <string>
#include <vector>

namespace lighthouse::report {

struct Passage {
  std::string before;
  std::string inside;
  std::string after;
  std::vector<std::string> figures;
};

/// A table as an HTML fragment: the figures under `header`, the first of them the row's name, then the text. `name` is
/// the table's for screen readers.
std::string to_html(const std::string& name, const std::vector<std::string>& header,
                    const std::vector<Passage>& passages);

}  // namespace lighthouse::report
