// What a run's record says, and how runs compare.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/run_report.h"

namespace lighthouse::cli {

/// Seconds of training, validation left out.
double training_seconds(const ReportedRun& run);

/// The run's first stage of this attention, "dense" or "lighthouse".
std::optional<train::StageResult> find_stage(const ReportedRun& run, const std::string& attention);

/// The validation loss after so many seconds or tokens, between validations by a straight line. Nothing before the
/// first validation and after the last.
std::optional<double> loss_at_time(const ReportedRun& run, double seconds);
std::optional<double> loss_at_tokens(const ReportedRun& run, int64_t tokens);

/// A run that is dense throughout, to measure the others against: the first such.
const ReportedRun* find_dense_run(const std::vector<ReportedRun>& runs);

}  // namespace lighthouse::cli
