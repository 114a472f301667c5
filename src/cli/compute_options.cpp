#include "cli/compute_options.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <CLI/CLI.hpp>
#include <stdexcept>

#include "cli/number_option.h"

namespace lighthouse::cli {

train::Device device_of(const std::string& name) {
  if (name == "auto") return train::Device::kAuto;
  if (name == "cpu") return train::Device::kCpu;
  if (name == "cuda") return train::Device::kCuda;
  throw std::invalid_argument("--device must be auto, cpu or cuda; got " + name);
}

namespace {

train::Precision precision_of(const std::string& name) {
  if (name == "auto") return train::Precision::kAuto;
  if (name == "float32") return train::Precision::kFloat32;
  if (name == "bfloat16") return train::Precision::kBFloat16;
  throw std::invalid_argument("--precision must be auto, float32 or bfloat16; got " + name);
}

}  // namespace

void add_compute_options(CLI::App* command, ComputeArguments& arguments) {
  add_device_option(command, arguments.device);
  command->add_option("--precision", arguments.precision, "float32, bfloat16 or auto (bfloat16 on a GPU)")
      ->transform(one_of({"auto", "float32", "bfloat16"}))
      ->capture_default_str();
  command->add_option("--threads", arguments.threads, "torch's threads (default: torch's own choice)")
      ->transform(whole_number(1, kMostThreads));
}

void add_device_option(CLI::App* command, std::string& device) {
  command->add_option("--device", device, "auto (a GPU where there is one), cpu or cuda")
      ->transform(one_of({"auto", "cpu", "cuda"}))
      ->capture_default_str();
}

train::ComputePlan choose_compute(const ComputeArguments& arguments) {
  train::RunConfig config;
  config.training.device = device_of(arguments.device);
  config.training.precision = precision_of(arguments.precision);
  if (arguments.threads > 0) at::set_num_threads(static_cast<int>(arguments.threads));
  return train::choose_compute(config);
}

}  // namespace lighthouse::cli
