// What the benchmark says: tables, JSON, a page with charts, a figure.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "analysis/benchmark.h"
#include "analysis/provenance.h"
#include "report/html_page.h"

namespace lighthouse::cli {

struct BenchReport {
  analysis::Provenance provenance;
  analysis::BenchmarkSetting setting;
  std::vector<std::string> skipped;
  std::vector<analysis::LengthResult> lengths;
};

/// One line: machine, versions, setting.
std::string bench_setting_text(const BenchReport& report);
/// How to read the tables. `full_names`: each column of dense attention says what it is of, as in the page.
std::string bench_legend_text(const BenchReport& report, bool full_names = false);

/// A row per case.
report::Table bench_table(const BenchReport& report);
/// A row per case, a column per stage.
report::Table bench_stage_table(const BenchReport& report);
std::string bench_stage_legend_text();

/// Every figure, with machine, versions and setting.
std::string bench_json(const BenchReport& report);
/// Throws nlohmann::json::exception or std::invalid_argument where the text is not what bench_json() wrote.
BenchReport bench_from_json(const std::string& text);

/// "524,288".
std::string grouped(int64_t count);

/// "27.3 times as fast as dense attention", or that it is slower.
std::string beside_dense_text(double dense_ms, double layer_ms);

/// Takes out of a table the columns from `begin` to `end` that are the same in every row, and says what they are: "L 3,
/// p 4". One row keeps all.
std::string take_out_constants(report::Table& table, size_t begin, size_t end);

void write_bench_page(const std::filesystem::path& path, const BenchReport& report);

}  // namespace lighthouse::cli
