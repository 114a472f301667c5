#include "analysis/machine.h"

#include <sched.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

namespace lighthouse::analysis {
namespace {

/// The text after "KEY :" or "KEY:" in a file of such lines.
std::string value_of(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (!line.starts_with(key) || colon == std::string::npos) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

}  // namespace

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string cpu_model() {
  const std::string name = value_of("/proc/cpuinfo", "model name");
  if (!name.empty()) return name;
  utsname system{};
  return uname(&system) == 0 ? system.machine : "unknown";
}

int64_t usable_processors() {
  cpu_set_t set;
  int64_t count = 1;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) count = CPU_COUNT(&set);
  std::istringstream share(first_line("/sys/fs/cgroup/cpu.max"));  // "QUOTA PERIOD" or "max PERIOD"
  double quota = 0;
  double period = 0;
  if (share >> quota >> period && period > 0) {
    count = std::min(count, std::max<int64_t>(1, static_cast<int64_t>(std::ceil(quota / period))));
  }
  return count;
}

double free_memory_bytes() {
  std::istringstream text(value_of("/proc/meminfo", "MemAvailable"));
  double kibibytes = 0;
  text >> kibibytes;
  return 1024 * kibibytes;
}

std::string chosen_setting(const std::string& path) {
  const std::string line = first_line(path);
  const size_t begin = line.find('[');
  const size_t end = line.find(']');
  return begin == std::string::npos || end == std::string::npos ? "" : line.substr(begin + 1, end - begin - 1);
}

std::set<std::string> loaded_libraries(const std::string& prefix) {
  std::set<std::string> names;
  std::ifstream file("/proc/self/maps");
  for (std::string line; std::getline(file, line);) {
    const size_t slash = line.rfind('/');
    if (slash != std::string::npos && line.compare(slash + 1, prefix.size(), prefix) == 0) {
      names.insert(line.substr(line.find('/')));
    }
  }
  return names;
}

}  // namespace lighthouse::analysis
