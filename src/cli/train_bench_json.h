// What `lighthouse bench --train --json` writes, and reads again.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "analysis/train_benchmark.h"
#include "train/config.h"

namespace lighthouse::cli {

/// `file` is the configuration's name.
std::string train_bench_json(const std::string& file, const train::RunConfig& config,
                             const analysis::TrainBenchmark& result);

struct RecordedTrainBench {
  std::string config;               ///< The configuration's name.
  std::string device;               ///< In words, with precision, recomputation and the estimated memory.
  analysis::TrainBenchmark result;  ///< Without its plan.
};

/// Throws nlohmann's exceptions where it is something else.
RecordedTrainBench train_bench_from_json(const nlohmann::ordered_json& json);

}  // namespace lighthouse::cli
