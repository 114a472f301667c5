#include "train/device.h"

#include <torch/cuda.h>
#include <torch/types.h>

#include <cstdlib>
#include <stdexcept>

#include "kernels/cuda/device.h"
#include "text/command_name.h"
#include "text/number_text.h"
#include "train/memory_estimate.h"

namespace lighthouse::train {
namespace {

bool cuda_usable() { return kernels::cuda::in_this_build() && torch::cuda::is_available(); }

torch::Device choose_device(Device wanted) {
  if (wanted == Device::kCuda && !cuda_usable()) {
    throw std::invalid_argument(
        kernels::cuda::in_this_build()
            ? "training.device is \"cuda\", but torch sees no GPU; expected one (" + text::command() + " doctor says more)"
            : "training.device is \"cuda\", but this build has no CUDA kernels; build with LIGHTHOUSE_CUDA=on");
  }
  return wanted == Device::kCpu || !cuda_usable() ? torch::Device(torch::kCPU) : torch::Device(torch::kCUDA, 0);
}

torch::ScalarType choose_type(Precision wanted, const torch::Device& device) {
  switch (wanted) {
    case Precision::kFloat32: return torch::kFloat;
    case Precision::kBFloat16: return torch::kBFloat16;
    case Precision::kAuto: break;
  }
  return device.is_cuda() ? torch::kBFloat16 : torch::kFloat;
}

}  // namespace

const char* name_of(model::Recompute recompute) {
  switch (recompute) {
    case model::Recompute::kNone: return "none";
    case model::Recompute::kSelective: return "selective";
    case model::Recompute::kFull: return "full";
  }
  return "";
}

ComputePlan choose_compute(const RunConfig& config) {
  ComputePlan plan;
  plan.device = choose_device(config.training.device);
  plan.type = choose_type(config.training.precision, plan.device);
  plan.memory_bytes =
      plan.device.is_cuda() ? kernels::cuda::device_facts(plan.device.index()).free_bytes : available_memory_bytes();
  return plan;
}

/// Of the memory: an estimate is good to some percent, and what is freed in between leaves gaps.
constexpr double kComfortable = 0.96;

ComputePlan plan_compute(const RunConfig& config) {
  ComputePlan plan = choose_compute(config);
  const auto element_size = static_cast<int64_t>(torch::elementSize(plan.type));
  if (config.training.recompute) {
    plan.recompute = *config.training.recompute;
    expect_fits_memory(config, element_size, plan.recompute, plan.memory_bytes);
    return plan;
  }
  using model::Recompute;
  for (const Recompute recompute : {Recompute::kNone, Recompute::kSelective, Recompute::kFull}) {
    plan.recompute = recompute;
    if (estimate_memory(config, element_size, recompute).total() <= kComfortable * plan.memory_bytes) return plan;
  }
  expect_fits_memory(config, element_size, plan.recompute, plan.memory_bytes);
  return plan;
}

std::string describe(const ComputePlan& plan, const RunConfig& config) {
  const auto element_size = static_cast<int64_t>(torch::elementSize(plan.type));
  const MemoryEstimate estimate = estimate_memory(config, element_size, plan.recompute);
  const std::string where =
      plan.device.is_cuda() ? "cuda (" + kernels::cuda::device_facts(plan.device.index()).name + ")" : "cpu";
  return where + ", " + (plan.type == torch::kBFloat16 ? "bfloat16" : "float32") + ", recompute " +
         name_of(plan.recompute) + "; needs about " + text::bytes_text(estimate.total()) + " (" +
         text::bytes_text(estimate.parameters) + " for parameters, gradients and optimiser, " +
         text::bytes_text(estimate.activations) + " for activations, " + text::bytes_text(estimate.working) +
         " while it computes) of " + text::bytes_text(plan.memory_bytes);
}

Environment environment(const ComputePlan& plan) {
  Environment facts = environment();
  facts["device"] = plan.device.is_cuda() ? kernels::cuda::device_facts(plan.device.index()).name : "the processor";
  facts["precision"] = plan.type == torch::kBFloat16 ? "bfloat16" : "float32";
  return facts;
}

void set_deterministic(bool deterministic) {
  // cuBLAS reads this once, at its first product.
  if (deterministic) setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::globalContext().setDeterministicAlgorithms(deterministic, /*warn_only=*/false);
  // It would write every new tensor twice.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

}  // namespace lighthouse::train
