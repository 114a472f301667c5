// Files that options name, looked at before the work begins.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>

namespace lighthouse::cli {

/// Minutes of measuring are not to be lost to a misspelt folder. Throws naming the option; nothing where no file is
/// named.
inline void check_folder_of(const std::string& option, const std::string& file) {
  if (file.empty()) return;
  if (std::filesystem::is_directory(file))
    throw std::runtime_error(option + " must name a file; got the folder " + file);
  if (std::filesystem::is_directory(std::filesystem::absolute(file).parent_path())) return;
  throw std::runtime_error(option + " must name a file in a folder that exists; got " + file);
}

}  // namespace lighthouse::cli
