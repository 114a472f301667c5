#include "train/environment.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include "kernels/cpu/kernels.h"

namespace lighthouse::train {

Environment environment() {
  return {{"lighthouse", LIGHTHOUSE_VERSION},
          {"torch", TORCH_VERSION},
          {"threads", std::to_string(at::get_num_threads())},
          {"torch instruction set", at::get_cpu_capability()},
          {"lighthouse instruction set", kernels::cpu::instruction_set()}};
}

std::string describe_differences(const Environment& then, const Environment& now) {
  std::string text;
  for (const auto& [name, value] : now) {
    const auto before = then.find(name);
    const std::string old = before == then.end() ? "unknown" : before->second;
    if (old != value) text += (text.empty() ? "" : "; ") + name + ": " + old + " then, " + value + " now";
  }
  return text;
}

}  // namespace lighthouse::train
