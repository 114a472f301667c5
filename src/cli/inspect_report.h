// What `lighthouse inspect` says about a selection map: tables and strips in the terminal, and a page.
#pragma once

#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "analysis/selection_map.h"
#include "report/html_page.h"
#include "report/passages.h"

namespace lighthouse::cli {

struct Inspection {
  std::string model;      ///< "runs/example-cpu", "random weights of ..."
  std::string text_name;  ///< The file,
  int64_t offset = 0;     ///< where in it,
  std::string text;       ///< and its bytes, one per token.
  analysis::SelectionMap map;
};

/// What was inspected, where, and by which rule: a few sentences.
std::string describe(const Inspection& inspection);

/// Window, entries and share of tokens of each level. The sizes fix these: they are the same for every head.
report::Table level_table(const analysis::SelectionMap& map);

/// Spans at level 0 and overlap with the layer's other heads, one row per head.
report::Table head_table(const analysis::LayerSelection& layer);

/// Overlap between a layer's heads beside that of random choices, one row per layer.
report::Table overlap_table(const analysis::SelectionMap& map);

/// The spans that most heads of these layers keep at level 0, in their surroundings; the figures are those of
/// kPassageFigures.
std::vector<report::Passage> shared_passages(const Inspection& inspection,
                                             const std::vector<analysis::LayerSelection>& layers, size_t count,
                                             bool utf8);
inline const std::vector<std::string> kPassageFigures = {"at byte", "bytes", "heads"};

/// Everything, for a terminal of `width` columns.
void print_inspection(std::ostream& out, const Inspection& inspection, int64_t width, bool utf8);

void write_inspection_page(const std::filesystem::path& path, const Inspection& inspection);

}  // namespace lighthouse::cli
