// Runs side by side: the table in the terminal and the page with the curves.
#pragma once

#include <string>
#include <vector>

#include "report/html_page.h"
#include "train/trainer.h"

namespace lighthouse::cli {

struct ReportedRun {
  std::string name;  ///< As it stands in legends and tables.
  train::RunConfig config;
  train::Metrics metrics;
};

/// The result in a sentence or two for each run: time and loss beside the first run that is dense throughout, at the
/// same time and after the same tokens; then what is not as it should be. Of many runs, which is best comes first.
std::vector<std::string> result_sentences(const std::vector<ReportedRun>& runs);

/// Rows are figures, columns are runs. Where a run is dense throughout, the others are measured against the first such.
report::Table comparison_table(const std::vector<ReportedRun>& runs);

/// A row for each stage of each run.
report::Table stage_table(const std::vector<ReportedRun>& runs);

/// A sentence for each run that skipped steps: they changed nothing, and the tables do not tell them from others.
std::vector<std::string> skipped_notes(const std::vector<ReportedRun>& runs);

/// The result, charts and tables of the runs.
void add_runs(report::HtmlPage& page, const std::vector<ReportedRun>& runs);

}  // namespace lighthouse::cli
