#include "train/corpus.h"

#include <fnmatch.h>

#include <algorithm>
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

/// Whether the user named this very file, rather than a folder that it is in.
bool is_named(const DataConfig& config, const fs::path& path) {
  return std::find(config.paths.begin(), config.paths.end(), path.string()) != config.paths.end();
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
    const fs::path path = tokens_of_pair(text, config.format);
    std::error_code error;
    const auto status = fs::status(path, error);
    if (!fs::exists(status)) throw std::runtime_error("no such file or folder: " + text);
    if (fs::is_directory(status)) {
      for (const auto& found : files_below(path, config)) files.push_back(tokens_of_pair(found, config.format));
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

Corpus::Corpus(const DataConfig& config, uint64_t seed, int64_t vocab_size)
    : begins_{0}, seed_(seed), vocab_size_(vocab_size), context_length_(config.context_length) {
  const auto files = find_files(config);
  // Files are mixed before the tail is held out, so that it is like the rest.
  constexpr uint64_t kFileOrder = 0;
  sources_.reserve(files.size());
  for (const int64_t file : seeded_permutation(static_cast<int64_t>(files.size()), seed, kFileOrder)) {
    const fs::path& path = files[static_cast<size_t>(file)];
    sources_.emplace_back(path, config.format);
    begins_.push_back(begins_.back() + sources_.back().num_tokens());
    if (sources_.back().num_tokens() == 0 && is_named(config, path)) {
      throw std::runtime_error(path.string() + " is empty; expected text or tokens");
    }
  }

  const int64_t length = num_tokens();
  const int64_t needed = context_length_ + 1;
  const auto held_out = static_cast<int64_t>(config.validation_fraction * static_cast<double>(length));
  validation_begin_ = length - (config.validation_fraction > 0 ? std::max(held_out, needed) : 0);
  validation_sequences_ = (length - validation_begin_) / needed;
  training_sequences_ = validation_begin_ > 0 ? (validation_begin_ - 1) / context_length_ : 0;
  if (training_sequences_ < 1) {
    throw std::runtime_error("the data is too small: expected at least " + std::to_string(2 * needed) +
                             " tokens (a training and a held-out sequence of " + std::to_string(needed) + "); got " +
                             std::to_string(length) + " in " + std::to_string(num_files()) + " files");
  }
}

uint64_t Corpus::fingerprint() {
  if (fingerprint_) return *fingerprint_;
  constexpr uint64_t kAllBytes = uint64_t{4} << 30;
  uint64_t bytes = 0;
  for (const auto& source : sources_) bytes += source.num_bytes();
  io::Checksum checksum;
  for (const auto& source : sources_) source.add_to(checksum, bytes <= kAllBytes);
  fingerprint_ = checksum.value();
  return *fingerprint_;
}

/// A sequence may begin in one file and end in another.
void Corpus::read(int64_t begin, int64_t* out) const {
  int64_t left = context_length_ + 1;
  auto source = static_cast<size_t>(std::upper_bound(begins_.begin(), begins_.end(), begin) - begins_.begin()) - 1;
  for (; left > 0; ++source) {
    const int64_t count = std::min(left, begins_[source + 1] - begin);
    if (count > 0) sources_[source].read(begin - begins_[source], count, vocab_size_, out);
    begin += count;
    out += count;
    left -= count;
  }
}

void Corpus::read_training_sequence(int64_t index, int64_t* out) {
  const int64_t epoch = index / training_sequences_;
  if (epoch != epoch_) {
    order_ = seeded_permutation(training_sequences_, seed_, static_cast<uint64_t>(epoch) + 1);
    epoch_ = epoch;
  }
  read(order_[static_cast<size_t>(index % training_sequences_)] * context_length_, out);
}

void Corpus::read_validation_sequence(int64_t index, int64_t count, int64_t* out) const {
  const int64_t chosen = index * validation_sequences_ / std::max<int64_t>(1, count);
  read(validation_begin_ + chosen * (context_length_ + 1), out);
}

}  // namespace lighthouse::train
