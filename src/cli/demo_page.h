// The page of `lighthouse demo`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/run_report.h"

namespace lighthouse::cli {

/// `setting`: what was trained on what, in words. `sample`: a text that the recovered model wrote.
void write_demo_page(const std::filesystem::path& path, const std::vector<ReportedRun>& runs,
                     const std::string& setting, const std::string& sample);

}  // namespace lighthouse::cli
