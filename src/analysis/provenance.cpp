#include "analysis/provenance.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "analysis/machine.h"
#include "train/environment.h"

namespace lighthouse::analysis {
namespace {

constexpr const char* kUnknown = "unknown";

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

Provenance read_provenance() {
  const auto versions = train::environment();
  Provenance provenance;
  provenance.cpu = cpu_model();
  provenance.threads = at::get_num_threads();
  provenance.instruction_set = at::get_cpu_capability();
  provenance.lighthouse = versions.at("lighthouse");
  provenance.torch = versions.at("torch");
  // Named by whoever runs a copy of the files, whose .git is missing or another's. Otherwise asked now: what a build
  // remembers is stale after the next commit.
  const char* named = std::getenv("LIGHTHOUSE_COMMIT");
  provenance.commit =
      named != nullptr ? std::string(named) : first_line_of("git describe --always --dirty=+ 2>/dev/null");
  provenance.date = utc_now();
  return provenance;
}

}  // namespace lighthouse::analysis
