// Files that options name, looked at before the work begins.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>

#include "io/atomic_file.h"

namespace lighthouse::cli {

/// Minutes of measuring are not to be lost to a misspelt folder, or one that may not be written in. Throws naming the
/// option; nothing where no file is named. What may be named is what io::AtomicFile writes: a file, a link to one, a
/// device, a pipe, /dev/stdout.
inline void check_folder_of(const std::string& option, const std::string& file) {
  if (file.empty()) return;
  if (std::filesystem::is_directory(file))
    throw std::runtime_error(option + " must name a file; got the folder " + file);
  if (!std::filesystem::is_directory(std::filesystem::absolute(file).parent_path()))
    throw std::runtime_error(option + " must name a file in a folder that exists; got " + file);
  try {
    io::expect_writable(file);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(option + " must name a file that can be written; got " + file + " (" + error.what() + ")");
  }
}

}  // namespace lighthouse::cli
