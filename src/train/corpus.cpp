#include "train/corpus.h"

#include <fnmatch.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <numeric>
#include <set>
#include <stdexcept>

namespace lighthouse::train {
namespace {

namespace fs = std::filesystem;

/// SplitMix64: a small generator that is the same everywhere.
class SplitMix {
 public:
  explicit SplitMix(uint64_t state) : state_(state) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, bound), by rejection.
  uint64_t below(uint64_t bound) {
    const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t value = next();
    while (value >= limit) value = next();
    return value % bound;
  }

 private:
  uint64_t state_;
};

bool matches_any(const fs::path& path, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return fnmatch(pattern.c_str(), path.filename().c_str(), 0) == 0;
  });
}

std::vector<fs::path> files_below(const fs::path& folder, const DataConfig& config) {
  std::vector<fs::path> files;
  // Links are not followed into folders, so that a loop of links cannot catch the walk.
  std::error_code error;
  fs::recursive_directory_iterator walk(folder, error);
  if (error) throw std::runtime_error("cannot read the folder " + folder.string() + ": " + error.message());
  const auto fail_unreadable = [](const fs::path& path, const std::error_code& reason) {
    throw std::runtime_error("cannot read " + path.string() + ": " + reason.message());
  };
  while (walk != fs::recursive_directory_iterator()) {
    const fs::path path = walk->path();
    if (matches_any(path, config.exclude)) {
      walk.disable_recursion_pending();
    } else if (config.include.empty() || matches_any(path, config.include)) {
      const fs::file_status status = walk->status(error);
      if (status.type() == fs::file_type::none) fail_unreadable(path, error);
      if (fs::is_regular_file(status)) files.push_back(path);  // a link to nothing is no file
    }
    // On an error the walk is over: it must not look like the end of the folder.
    walk.increment(error);
    if (error) fail_unreadable(path, error);
  }
  std::sort(files.begin(), files.end());
  return files;
}

void append_file(const fs::path& path, std::vector<uint8_t>& bytes) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw std::runtime_error("cannot open " + path.string() + ": " + std::strerror(errno));
  const std::streamoff size = file.tellg();
  const size_t before = bytes.size();
  bytes.resize(before + static_cast<size_t>(std::max<std::streamoff>(size, 0)));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data() + before), size);
  if (!file) throw std::runtime_error("cannot read " + path.string() + ": " + std::strerror(errno));
}

}  // namespace

std::vector<int64_t> seeded_permutation(int64_t count, uint64_t seed, uint64_t stream) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  SplitMix random(SplitMix(seed).next() ^ (SplitMix(stream).next() << 1));
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

std::vector<fs::path> find_files(const DataConfig& config) {
  std::vector<fs::path> files;
  for (const auto& text : config.paths) {
    const fs::path path(text);
    std::error_code error;
    const auto status = fs::status(path, error);
    if (!fs::exists(status)) throw std::runtime_error("no such file or folder: " + text);
    if (fs::is_directory(status)) {
      const auto found = files_below(path, config);
      files.insert(files.end(), found.begin(), found.end());
    } else {
      files.push_back(path);
    }
  }
  // A file that is reached twice would stand in both splits.
  std::set<fs::path> seen;
  std::erase_if(files, [&](const fs::path& path) { return !seen.insert(fs::canonical(path)).second; });
  if (files.empty())
    throw std::runtime_error("no files below " + config.paths.front() + " are left by data.include and data.exclude");
  return files;
}

Corpus::Corpus(const DataConfig& config, uint64_t seed) : seed_(seed), context_length_(config.context_length) {
  const auto files = find_files(config);
  num_files_ = static_cast<int64_t>(files.size());
  // Files are mixed before the tail is held out, so that it is like the rest.
  constexpr uint64_t kFileOrder = 0;
  for (const int64_t file : seeded_permutation(num_files_, seed, kFileOrder)) {
    append_file(files[static_cast<size_t>(file)], bytes_);
  }

  const int64_t length = num_bytes();
  const int64_t needed = context_length_ + 1;
  const auto held_out = static_cast<int64_t>(config.validation_fraction * static_cast<double>(length));
  validation_begin_ = length - (config.validation_fraction > 0 ? std::max(held_out, needed) : 0);
  validation_sequences_ = (length - validation_begin_) / needed;
  training_sequences_ = validation_begin_ > 0 ? (validation_begin_ - 1) / context_length_ : 0;
  if (training_sequences_ < 1) {
    throw std::runtime_error("the data is too small: expected at least " + std::to_string(2 * needed) +
                             " bytes (a training and a held-out sequence of " + std::to_string(needed) + "); got " +
                             std::to_string(length) + " in " + std::to_string(num_files_) + " files");
  }
}

const uint8_t* Corpus::training_sequence(int64_t index) {
  const int64_t epoch = index / training_sequences_;
  if (epoch != epoch_) {
    order_ = seeded_permutation(training_sequences_, seed_, static_cast<uint64_t>(epoch) + 1);
    epoch_ = epoch;
  }
  return bytes_.data() + order_[static_cast<size_t>(index % training_sequences_)] * context_length_;
}

const uint8_t* Corpus::validation_sequence(int64_t index, int64_t count) const {
  const int64_t chosen = index * validation_sequences_ / std::max<int64_t>(1, count);
  return bytes_.data() + validation_begin_ + chosen * (context_length_ + 1);
}

}  // namespace lighthouse::train
