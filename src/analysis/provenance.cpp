#include "analysis/provenance.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>

#include "analysis/machine.h"
#include "text/command_name.h"
#include "train/environment.h"

namespace lighthouse::analysis {
namespace {

constexpr const char* kUnknown = "unknown";

/// The first line that a command prints.
std::string first_line_of(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return kUnknown;
  char text[256] = "";
  const bool read = std::fgets(text, sizeof(text), pipe) != nullptr;
  if (pclose(pipe) != 0 || !read) return kUnknown;
  std::string line(text);
  while (!line.empty() && line.back() == '\n') line.pop_back();
  return line.empty() ? kUnknown : line;
}

/// Whether this program stands in the folder that it was built in. A copy elsewhere may be of any age.
bool in_its_build_folder() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto build = std::filesystem::weakly_canonical(LIGHTHOUSE_BUILD_DIR, error);
  return !error && std::mismatch(build.begin(), build.end(), program.begin(), program.end()).first == build.end();
}

/// Of the sources that this program was built from, asked now: what a build remembers is stale after the next commit.
/// The folder must be a checkout itself: one that only lies in somebody's repository has no commit.
std::string commit_of_sources() {
  if (!in_its_build_folder()) return kUnknown;
  const std::string git =
      "env -u GIT_DIR -u GIT_WORK_TREE -u GIT_INDEX_FILE git -C " + text::shell_word(LIGHTHOUSE_SOURCE_DIR) + " ";
  return first_line_of("{ [ -z \"$(" + git + "rev-parse --show-prefix || echo none)\" ] && " + git +
                       "describe --always --dirty=+changes; } 2>/dev/null");
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
  // Named by whoever runs a copy of the files, whose .git is missing.
  const char* named = std::getenv("LIGHTHOUSE_COMMIT");
  provenance.commit = named != nullptr ? std::string(named) : commit_of_sources();
  provenance.date = utc_now();
  return provenance;
}

}  // namespace lighthouse::analysis
