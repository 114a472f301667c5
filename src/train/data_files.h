// The files that data.paths name: what is read of a folder, and what is passed over.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/config.h"

namespace lighthouse::train {

struct DataFiles {
  std::vector<std::filesystem::path> paths;  ///< Sorted within each folder; each file once.
  std::vector<std::string> notes;            ///< What was passed over that a user may have meant to be read.
};

/// The files that config.paths name. Of folders: files that match include and exclude, without names that begin with a
/// dot, __pycache__, links to folders, what is no regular file, and folders of runs: those in `run_folders` (which need
/// not exist) and others. Throws std::runtime_error naming a path that is missing, unreadable or a folder of
/// `run_folders` itself, and where no file is left; std::invalid_argument for patterns that no name could match.
DataFiles find_data_files(const DataConfig& config, const std::vector<std::filesystem::path>& run_folders = {});

/// Their paths alone.
std::vector<std::filesystem::path> find_files(const DataConfig& config);

/// "3 files are empty: a, b, c"; of many the first are named.
std::string note_of(const std::vector<std::string>& names, const std::string& one, const std::string& many);

}  // namespace lighthouse::train
