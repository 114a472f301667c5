// Files that a reader never meets half written.
#pragma once

#include <filesystem>
#include <string>

namespace lighthouse::report {

/// Writes beside `path` and renames. Throws std::runtime_error with the reason.
void write_file(const std::filesystem::path& path, const std::string& text);

}  // namespace lighthouse::report
