#include "analysis/environment.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include <cstdio>
#include <ctime>
#include <fstream>

namespace lighthouse::analysis {
namespace {

constexpr const char* kUnknown = "unknown";

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t value = line.find(": ");
    if (line.rfind("model name", 0) == 0 && value != std::string::npos) return line.substr(value + 2);
  }
  return kUnknown;
}

/// The first line that a command prints.
std::string first_line_of(const char* command) {
  FILE* pipe = popen(command, "r");
  if (pipe == nullptr) return kUnknown;
  char text[256] = "";
  const bool read = std::fgets(text, sizeof(text), pipe) != nullptr;
  if (pclose(pipe) != 0 || !read) return kUnknown;
  std::string line(text);
  while (!line.empty() && line.back() == '\n') line.pop_back();
  return line.empty() ? kUnknown : line;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace

Environment read_environment() {
  Environment environment;
  environment.cpu = cpu_name();
  environment.threads = at::get_num_threads();
  environment.instruction_set = at::get_cpu_capability();
  environment.torch = TORCH_VERSION;
  // Asked now: what a build remembers is stale after the next commit.
  environment.commit = first_line_of("git describe --always --dirty=+ 2>/dev/null");
  environment.date = utc_now();
  return environment;
}

}  // namespace lighthouse::analysis
