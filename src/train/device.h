// Where a run computes, in what, and with which memory: the configuration's "auto" resolved.
#pragma once

#include <torch/types.h>

#include "model/block.h"
#include "train/config.h"
#include "train/environment.h"

namespace lighthouse::train {

struct ComputePlan {
  torch::Device device = torch::kCPU;
  torch::ScalarType type = torch::kFloat;  ///< Of products and activations.
  model::Recompute recompute = model::Recompute::kNone;
  double memory_bytes = 0;  ///< The device's.
};

/// Device and type alone, as plan_compute() chooses them.
ComputePlan choose_compute(const RunConfig& config);

/// Chooses what the configuration leaves open: a GPU where there is one that this build can use, bfloat16 there, and
/// the policy that computes least again and fits. Throws std::invalid_argument for a device that is not there, and for
/// a run that cannot fit, with what it needs, what there is and what to change.
ComputePlan plan_compute(const RunConfig& config);

/// The plan in a line: "cuda (NVIDIA H100 80GB HBM3), bfloat16; needs about 31.2 of 85.0 GB".
std::string describe(const ComputePlan& plan, const RunConfig& config);

/// What the bits of a run's results depend on: environment(), and the plan's device and type.
Environment environment(const ComputePlan& plan);

/// Sets torch's deterministic mode, for the whole process.
void set_deterministic(bool deterministic);

/// "none", "selective" or "full".
const char* name_of(model::Recompute recompute);

}  // namespace lighthouse::train
