// Facts about the machine that this process runs on, as the system tells them.
#pragma once

#include <cstdint>
#include <set>
#include <string>

namespace lighthouse::analysis {

/// "Intel(R) Xeon(R) …", or the architecture where the system has no name for it.
std::string cpu_model();
/// Processors that this process may use: by affinity, and by its control group's share where that is less.
int64_t usable_processors();
/// Bytes of memory that could be used now without swapping.
double free_memory_bytes();
/// The chosen word of a setting such as "always [madvise] never"; empty where there is no such file.
std::string chosen_setting(const std::string& path);
/// File names of loaded shared libraries that start with `prefix`.
std::set<std::string> loaded_libraries(const std::string& prefix);
/// The first line of a file; empty where there is none.
std::string first_line(const std::string& path);

}  // namespace lighthouse::analysis
