// Curves of training runs, one line for each run.
#pragma once

#include <vector>

#include "cli/run_report.h"
#include "report/line_chart.h"

namespace lighthouse::cli {

/// Validation loss over tokens and over training time.
std::vector<report::LineChart> validation_charts(const std::vector<ReportedRun>& runs);

/// Running means of the training loss over tokens and over training time.
std::vector<report::LineChart> training_loss_charts(const std::vector<ReportedRun>& runs);

/// Speed, share of the sequence that attention sees, learning rate, norm of the gradient.
std::vector<report::LineChart> schedule_charts(const std::vector<ReportedRun>& runs);

}  // namespace lighthouse::cli
