#include "train/data_files.h"

#include <fnmatch.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "text/number_text.h"

namespace lighthouse::train {
namespace {

namespace fs = std::filesystem;

bool matches_any(const fs::path& path, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return fnmatch(pattern.c_str(), path.filename().c_str(), 0) == 0;
  });
}

[[noreturn]] void fail_unreadable(const fs::path& path, const std::error_code& reason) {
  throw std::runtime_error("cannot read " + path.string() + ": " + reason.message());
}

/// What was passed over.
struct PassedOver {
  std::vector<std::string> hidden;
  std::vector<std::string> runs;
  std::vector<std::string> folder_links;
  std::vector<std::string> broken_links;
  std::vector<std::string> special;
  std::vector<std::string> twice;

  std::vector<std::string> notes() const {
    std::vector<std::string> notes;
    const auto add = [&](const std::vector<std::string>& names, const std::string& one, const std::string& many) {
      if (!names.empty()) notes.push_back(note_of(names, one, many));
    };
    add(runs, "the folder of a run is no data, and was passed over",
        "folders of runs are no data, and were passed over");
    add(hidden, "hidden file or folder was passed over", "hidden files and folders were passed over");
    add(folder_links, "link to a folder was not followed", "links to folders were not followed");
    add(broken_links, "link leads nowhere", "links lead nowhere");
    add(special, "pipe, socket or device was passed over", "pipes, sockets or devices were passed over");
    add(twice, "file is named more than once, and taken once", "files are named more than once, and taken once");
    return notes;
  }
};

/// Walks a folder.
class Walk {
 public:
  Walk(const DataConfig& config, std::vector<fs::path> run_folders, PassedOver& passed_over)
      : config_(config), run_folders_(std::move(run_folders)), passed_over_(passed_over) {}

  std::vector<fs::path> files_below(const fs::path& folder) {
    files_.clear();
    // Links are not followed into folders, so that a loop of links cannot catch the walk.
    std::error_code error;
    fs::recursive_directory_iterator walk(folder, error);
    if (error) throw std::runtime_error("cannot read the folder " + folder.string() + ": " + error.message());
    while (walk != fs::recursive_directory_iterator()) {
      if (!visit(*walk)) walk.disable_recursion_pending();
      const fs::path path = walk->path();
      // On an error the walk is over: it must not look like the end of the folder.
      walk.increment(error);
      if (error) fail_unreadable(path, error);
    }
    std::sort(files_.begin(), files_.end());
    return std::move(files_);
  }

 private:
  /// Whether to go on into what is a folder.
  bool visit(const fs::directory_entry& entry) {
    const fs::path& path = entry.path();
    if (matches_any(path, config_.exclude)) return false;
    const std::string name = path.filename().string();
    const bool asked_for = std::any_of(config_.include.begin(), config_.include.end(),
                                       [](const std::string& pattern) { return pattern.starts_with('.'); });
    if ((name.starts_with('.') && !asked_for) || name == "__pycache__") {
      passed_over_.hidden.push_back(path.string());
      return false;
    }
    std::error_code error;
    const bool is_link = entry.is_symlink(error);
    const fs::file_status status = entry.status(error);
    if (is_link && (status.type() == fs::file_type::not_found || error == std::errc::too_many_symbolic_link_levels)) {
      passed_over_.broken_links.push_back(path.string());
      return false;
    }
    if (status.type() == fs::file_type::none) fail_unreadable(path, error);
    if (fs::is_directory(status)) {
      const bool is_run = is_run_folder(path);
      if (is_run) passed_over_.runs.push_back(path.string());
      if (is_link && !is_run) passed_over_.folder_links.push_back(path.string());
      return !is_link && !is_run;
    }
    if (!config_.include.empty() && !matches_any(path, config_.include)) return false;
    if (fs::is_regular_file(status)) {
      files_.push_back(path);
    } else {
      passed_over_.special.push_back(path.string());
    }
    return false;
  }

  bool is_run_folder(const fs::path& path) const {
    std::error_code ignored;
    if (fs::exists(path / "metrics.jsonl", ignored) && fs::exists(path / "config.toml", ignored)) return true;
    const fs::path folder = fs::canonical(path, ignored);
    return std::find(run_folders_.begin(), run_folders_.end(), folder) != run_folders_.end();
  }

  const DataConfig& config_;
  std::vector<fs::path> run_folders_;
  PassedOver& passed_over_;
  std::vector<fs::path> files_;
};

/// Of Megatron's pairs the .bin stands for both; a name without an ending may mean the pair.
fs::path tokens_of_pair(const fs::path& path, DataFormat format) {
  if (format != DataFormat::kAuto && format != DataFormat::kMegatron) return path;
  fs::path tokens = path;
  if (path.extension() == ".idx") {
    tokens.replace_extension(".bin");
  } else if (format == DataFormat::kMegatron && !fs::exists(path)) {
    tokens += ".bin";
  }
  return fs::is_regular_file(tokens) ? tokens : path;
}

/// Patterns are of names: with a slash they would match nothing, without a word.
void expect_names(const std::string& key, const std::vector<std::string>& patterns) {
  for (const auto& pattern : patterns) {
    if (!pattern.empty() && pattern.find('/') == std::string::npos) continue;
    throw std::invalid_argument(
        key +
        " must have patterns of names of files or folders, such as \"*.py\" or \"build\", without a slash; got \"" +
        pattern + "\"");
  }
}

/// The status of what a user named. Throws where there is nothing.
fs::file_status status_of(const fs::path& path, const std::string& named) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (fs::exists(status)) return status;
  std::error_code ignored;
  const fs::path target = fs::read_symlink(path, ignored);
  std::string why;
  if (!target.empty()) why = " is a link to " + target.string() + ", which leads nowhere";
  if (status.type() != fs::file_type::not_found) why += ": " + error.message();
  if (named.find_first_of("*?[") != std::string::npos)
    why += ". Patterns are for data.include; data.paths names folders";
  if (named.starts_with('~')) why += ". ~ is not replaced here; write the folder out";
  throw std::runtime_error("no such file or folder: " + named + why);
}

}  // namespace

std::string note_of(const std::vector<std::string>& names, const std::string& one, const std::string& many) {
  constexpr size_t kNamed = 3;
  std::string note = text::count_of(static_cast<int64_t>(names.size()), one, many) + ": ";
  for (size_t i = 0; i < std::min(names.size(), kNamed); ++i) note += (i == 0 ? "" : ", ") + names[i];
  return note + (names.size() > kNamed ? ", ..." : "");
}

DataFiles find_data_files(const DataConfig& config, const std::vector<fs::path>& run_folders) {
  expect_names("data.include", config.include);
  expect_names("data.exclude", config.exclude);
  std::vector<fs::path> runs;
  for (const auto& folder : run_folders) runs.push_back(fs::weakly_canonical(fs::absolute(folder)));
  PassedOver passed_over;
  Walk walk(config, runs, passed_over);
  std::vector<fs::path> files;
  for (const auto& text : config.paths) {
    const fs::path path = tokens_of_pair(text, config.format);
    if (!fs::is_directory(status_of(path, text))) {
      files.push_back(path);
      continue;
    }
    if (std::find(runs.begin(), runs.end(), fs::canonical(path)) != runs.end()) {
      throw std::runtime_error("data.paths names the run's own folder, " + text +
                               ": what the run writes would be its data. Expected another output_dir, which may lie "
                               "below that folder");
    }
    std::set<fs::path> pairs;
    for (const auto& found : walk.files_below(path)) {
      const fs::path tokens = tokens_of_pair(found, config.format);
      if (pairs.insert(tokens).second) files.push_back(tokens);
    }
  }
  // A file that is reached twice would stand in both splits.
  std::set<fs::path> seen;
  std::erase_if(files, [&](const fs::path& path) {
    const bool first = seen.insert(fs::canonical(path)).second;
    if (!first) passed_over.twice.push_back(path.string());
    return !first;
  });
  DataFiles found{std::move(files), passed_over.notes()};
  if (found.paths.empty()) {
    std::string error = "no files below " + config.paths.front() + " are left by data.include and data.exclude";
    for (const auto& note : found.notes) error += "; " + note;
    throw std::runtime_error(error);
  }
  return found;
}

std::vector<fs::path> find_files(const DataConfig& config) { return find_data_files(config).paths; }

}  // namespace lighthouse::train
