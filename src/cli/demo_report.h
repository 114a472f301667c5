// What the demo concludes from its runs: the table in the terminal and the page with the curves.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "report/html_page.h"
#include "train/trainer.h"

namespace lighthouse::cli {

struct DemoRun {
  std::string name;  ///< "dense", "Lighthouse → dense, causal selection", ...
  train::RunConfig config;
  train::RunResult result;
};

/// Rows are figures, columns are runs; the first run is the dense one that the others are measured against.
report::Table demo_table(const std::vector<DemoRun>& runs);

void write_demo_page(const std::filesystem::path& path, const std::vector<DemoRun>& runs, const std::string& setting,
                     const std::string& sample);

}  // namespace lighthouse::cli
