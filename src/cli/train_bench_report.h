// What `lighthouse bench --train` says: text for a terminal, and a page.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "analysis/train_benchmark.h"

namespace lighthouse::cli {

struct TrainBenchReport {
  std::string config;  ///< The configuration's name.
  std::string device;  ///< In words.
  analysis::TrainBenchmark result;
  std::optional<double> baseline = {};  ///< Tokens per second of another dense run.
};

std::string train_bench_text(const TrainBenchReport& report);
void write_train_bench_page(const std::filesystem::path& path, const TrainBenchReport& report);

}  // namespace lighthouse::cli
