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

/// A table as an HTML fragment: the text in the first column, then the figures under `header`.
std::string to_html(const std::vector<std::string>& header, const std::vector<Passage>& passages);

}  // namespace lighthouse::report
