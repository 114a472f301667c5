// The CUDA side of `lighthouse bench`: runs the cases and shows progress.
#pragma once

#include <string>
#include <vector>

#include "cli/cuda_bench_report.h"

namespace lighthouse::cli {

/// This process's arguments after the program's name, "lighthouse" before them.
std::string command_line();

/// `report` holds the setting; `extras`: measure them too.
void measure_cuda_report(CudaBenchReport& report, const std::vector<analysis::CudaCase>& cases, bool extras);

}  // namespace lighthouse::cli
