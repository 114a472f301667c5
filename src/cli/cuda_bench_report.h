// What the CUDA benchmark says: tables, JSON, charts, a page.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "analysis/cuda_device.h"
#include "analysis/cuda_result.h"
#include "analysis/provenance.h"
#include "report/html_page.h"
#include "report/line_chart.h"

namespace lighthouse::cli {

struct CudaBenchReport {
  analysis::Provenance provenance;
  analysis::CudaProvenance cuda;
  std::string command;
  analysis::BenchmarkSetting setting;
  std::vector<std::string> skipped;
  std::vector<analysis::CudaResult> results;
  std::optional<analysis::CudaExtras> extras;
};

struct TitledTable {
  std::string title;
  report::Table table;
};

/// One line: GPU, versions, setting.
std::string cuda_setting_text(const CudaBenchReport& report);
std::string cuda_legend_text();
/// A sentence for each figure that there is none of.
std::vector<std::string> cuda_failures(const CudaBenchReport& report);
std::vector<TitledTable> cuda_tables(const CudaBenchReport& report);
/// All of the above.
std::string cuda_text(const CudaBenchReport& report);

std::string cuda_json(const CudaBenchReport& report);
/// Throws nlohmann::json::exception or std::invalid_argument where the text is not what cuda_json() wrote.
CudaBenchReport cuda_from_json(const std::string& text);

/// Times of layer, inner call and dense attention over N, forward and backward, of the first pyramid, rule and layout.
report::LineChart cuda_times_chart(const CudaBenchReport& report);
/// Dense attention's time over the layer's, and over the limit's.
report::LineChart cuda_ratio_chart(const CudaBenchReport& report);

void write_cuda_page(const std::filesystem::path& path, const CudaBenchReport& report);
/// The chart of times to `path`, that of ratios beside it: figure.svg and figure-ratio.svg.
void write_cuda_figures(const std::filesystem::path& path, const CudaBenchReport& report);

}  // namespace lighthouse::cli
