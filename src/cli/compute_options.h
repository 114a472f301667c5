// --device and --precision, for commands that run a model on another machine than it was trained on.
#pragma once

#include <CLI/App.hpp>
#include <string>

#include "train/device.h"

namespace lighthouse::cli {

struct ComputeArguments {
  std::string device = "auto";
  std::string precision = "auto";
  int64_t threads = 0;
};

/// Of a --device. Throws std::invalid_argument naming the option.
train::Device device_of(const std::string& name);

/// --device, --precision and --threads.
void add_compute_options(CLI::App* command, ComputeArguments& arguments);

/// --device alone.
void add_device_option(CLI::App* command, std::string& device);

/// Where to compute and in what; sets torch's threads. Throws std::invalid_argument naming the option.
train::ComputePlan choose_compute(const ComputeArguments& arguments);

}  // namespace lighthouse::cli
