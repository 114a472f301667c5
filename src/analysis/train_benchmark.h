// How fast a configuration trains: tokens per second, memory, and the time of a step's parts beside their floors.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "train/config.h"
#include "train/device.h"

namespace lighthouse::analysis {

/// A part of the step, all its calls together.
struct PartTime {
  std::string name;
  double ms = 0;
  double flops = 0, bytes = 0;  ///< What it computes, or moves; 0 and 0: not stated.
  double floor_ms = 0;  ///< Its flops at a large product's speed, or its bytes at a large copy's; 0: none stated.
};

struct StageBenchmark {
  std::string name;
  bool lighthouse = false;
  int64_t steps = 0;  ///< Of the configuration.
  double step_ms = 0;
  double tokens_per_second = 0;
  /// Share of the products' measured speed: 6 flops per matrix weight and token, and attention's as this stage has it.
  double flops_utilisation = 0;
  double peak_bytes = 0;  ///< Allocated at most, all of it; 0 on a CPU.
  double peak_reserved_bytes = 0;
  std::vector<PartTime> parts;  ///< Of one micro-step, watched; then what no part claims.
  double watched_step_ms = 0;
};

struct TrainBenchmark {
  train::ComputePlan plan;
  /// The fastest of a large product's rounds before the stages and after them, when the card is hot. So is the copy's.
  double product_flops_per_second = 0;
  double copy_bytes_per_second = 0;
  std::vector<StageBenchmark> stages;  ///< In the configuration's order.
};

/// Times `repeats` micro-steps (forward and backward of one batch, and the optimiser) of every stage after a warm-up,
/// on random tokens: no data is read, and accumulation is left out. `activity` is told what is about to run.
TrainBenchmark benchmark_training(const train::RunConfig& config, int64_t repeats,
                                  const std::function<void(const std::string&)>& activity);

}  // namespace lighthouse::analysis
