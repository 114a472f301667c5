// `lighthouse bench --train CONFIG`: how fast a configuration trains on this machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/train_bench_json.h"

namespace lighthouse::cli {

struct TrainBenchArguments {
  std::string config;
  std::vector<std::string> overrides;
  int64_t repeats = 5;
  std::optional<double> baseline;  ///< Tokens per second of another dense run, to compare with.
  std::string json;
  std::string html;
};

void run_train_bench(const TrainBenchArguments& arguments);

/// Prints the tables of what --json wrote, and writes the page where `html` names one.
void show_train_bench(const RecordedTrainBench& recorded, const std::string& html);

}  // namespace lighthouse::cli
