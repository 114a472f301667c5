#include "train/corpus.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>

#include "text/command_name.h"
#include "text/number_text.h"
#include "train/data_format.h"
#include "train/text_tokens.h"

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

/// Whether the user named this very file, rather than a folder that it is in.
bool is_named(const DataConfig& config, const fs::path& path) {
  return std::find(config.paths.begin(), config.paths.end(), path.string()) != config.paths.end();
}

/// Files of folders that are of another kind, all of them at once: a user should not meet them one by one.
class Strangers {
 public:
  void add(const fs::path& path, const std::string& problem) {
    if (count_++ == 0) first_ = problem;
    patterns_.insert(path.has_extension() ? "*" + path.extension().string() : path.filename().string());
  }

  void finish() const {
    if (count_ == 0) return;
    constexpr size_t kNamed = 8;
    std::string patterns;
    for (const auto& pattern : patterns_) patterns += (patterns.empty() ? "\"" : ", \"") + pattern + "\"";
    throw OtherFormat(first_ + (count_ == 1 ? "" : "; and " + std::to_string(count_ - 1) + " more files are refused") +
                      (patterns_.size() > kNamed ? ". To take text alone: data.include, with patterns such as \"*.txt\""
                                                 : ". To pass such files over: data.exclude = [" + patterns + "]"));
  }

 private:
  size_t count_ = 0;
  std::string first_;
  std::set<std::string> patterns_;
};

}  // namespace

std::vector<int64_t> seeded_permutation(int64_t count, uint64_t seed, uint64_t stream) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  SplitMix random(SplitMix(seed).next() ^ (SplitMix(stream).next() << 1));
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

Corpus::Corpus(const DataConfig& config, uint64_t seed, int64_t vocab_size, const std::vector<fs::path>& run_folders)
    : begins_{0}, seed_(seed), vocab_size_(vocab_size), context_length_(config.context_length) {
  DataFiles files = find_data_files(config, run_folders);
  notes_ = std::move(files.notes);
  open(config, files.paths);
  expect_bytes(config, vocab_size);
  split(config);
  take_notes();
}

void Corpus::open(const DataConfig& config, const std::vector<fs::path>& files) {
  // Files are mixed before the tail is held out, so that it is like the rest.
  constexpr uint64_t kFileOrder = 0;
  // To open a small file for each read would cost more than its memory, while there is memory.
  constexpr uint64_t kSmall = 1 << 20;
  uint64_t memory = uint64_t{1} << 30;
  Strangers strangers;
  sources_.reserve(files.size());
  for (const int64_t file : seeded_permutation(static_cast<int64_t>(files.size()), seed_, kFileOrder)) {
    const fs::path& path = files[static_cast<size_t>(file)];
    try {
      sources_.emplace_back(path, config.format, vocab_size_);
    } catch (const OtherFormat& error) {
      if (is_named(config, path)) throw;
      strangers.add(path, error.what());
      continue;
    } catch (const std::runtime_error& error) {
      if (is_named(config, path)) throw;
      throw std::runtime_error(std::string(error.what()) + ". data.exclude passes over what is no data");
    }
    TokenSource& source = sources_.back();
    begins_.push_back(begins_.back() + source.num_tokens());
    if (source.num_tokens() == 0 && is_named(config, path)) {
      throw std::runtime_error(path.string() + " is empty; expected text or tokens");
    }
    if (source.num_bytes() >= kSmall || source.num_bytes() > memory) continue;
    source.keep();
    memory -= source.num_bytes();
  }
  strangers.finish();
}

void Corpus::expect_bytes(const DataConfig& config, int64_t vocab_size) {
  const TokenSource* const source = text();
  if (source == nullptr || vocab_size == kByteTokens) return;
  if (vocab_size > kMostByteTokens) {
    throw std::runtime_error(
        source->path().string() + " is text, and " + tokens_are_not_bytes(vocab_size) + " (a vocabulary of bytes has " +
        std::to_string(kByteTokens) + ", at most " + std::to_string(kMostByteTokens) +
        "). Make a file of tokens by the model's tokenizer (" + text::command() + " tokenize) and name that" +
        (is_named(config, source->path()) ? "" : ", or pass text over with data.include = [\"*.bin\"]"));
  }
  notes_.push_back("text is read as bytes: of the vocabulary's " + std::to_string(vocab_size) + " tokens the first " +
                   std::to_string(kByteTokens));
}

void Corpus::split(const DataConfig& config) {
  const int64_t length = num_tokens();
  const int64_t needed = context_length_ + 1;
  const bool holds_out = config.validation_fraction > 0;
  const auto held_out = static_cast<int64_t>(config.validation_fraction * static_cast<double>(length));
  validation_begin_ = length - (holds_out ? std::max(held_out, needed) : 0);
  validation_sequences_ = (length - validation_begin_) / needed;
  training_sequences_ = validation_begin_ > 0 ? (validation_begin_ - 1) / context_length_ : 0;
  if (training_sequences_ < 1) {
    throw std::runtime_error("the data is too small: expected at least " +
                             text::count_of((holds_out ? 2 : 1) * needed, "token") + " (a training" +
                             (holds_out ? " and a held-out" : "") + " sequence of " + std::to_string(needed) +
                             "); got " + std::to_string(length) + " in " + text::count_of(num_files(), "file"));
  }
  if (holds_out && held_out < needed) {
    notes_.push_back("data.validation_fraction of " + text::count_of(length, "token") + " is " +
                     std::to_string(held_out) + ", less than a sequence: " + std::to_string(needed) + " are held out");
  }
}

void Corpus::take_notes() {
  std::vector<std::string> empty;
  std::map<std::string, std::vector<std::string>> remarks;
  for (const auto& source : sources_) {
    if (source.num_bytes() == 0) empty.push_back(source.path().string());
    if (!source.remark().empty()) remarks[source.remark()].push_back(source.path().string());
  }
  if (!empty.empty()) notes_.push_back(note_of(empty, "file is empty", "files are empty"));
  for (const auto& [remark, names] : remarks) {
    notes_.push_back(names.front() +
                     (names.size() == 1 ? " " : " and " + std::to_string(names.size() - 1) + " more: each ") + remark);
  }
}

uint64_t Corpus::num_bytes() const {
  return std::accumulate(sources_.begin(), sources_.end(), uint64_t{0},
                         [](uint64_t sum, const TokenSource& source) { return sum + source.num_bytes(); });
}

std::string Corpus::formats() const {
  std::map<std::string, int64_t> counts;
  for (const auto& source : sources_) ++counts[source.format_name()];
  if (counts.size() == 1) return counts.begin()->first;
  std::string text;
  for (const auto& [name, count] : counts) text += (text.empty() ? "" : ", ") + std::to_string(count) + " of " + name;
  return text;
}

const TokenSource* Corpus::text() const {
  const auto found = std::find_if(sources_.begin(), sources_.end(), [](const auto& s) { return s.is_text(); });
  return found == sources_.end() ? nullptr : &*found;
}

bool Corpus::is_all_text() const {
  return std::all_of(sources_.begin(), sources_.end(), [](const auto& source) { return source.is_text(); });
}

uint64_t Corpus::checksum(bool all_bytes) const {
  io::Checksum checksum;
  const uint64_t bytes = num_bytes();
  uint64_t done = 0;
  const auto on_bytes = [&](uint64_t count) {
    done += count;
    if (watch_ && all_bytes) watch_(done, bytes);
  };
  for (const auto& source : sources_) source.add_to(checksum, all_bytes, on_bytes);
  return checksum.value();
}

uint64_t Corpus::times() const {
  io::Checksum checksum;
  for (const auto& source : sources_) {
    checksum.add(source.state().size);
    checksum.add(static_cast<uint64_t>(source.state().modified));
    checksum.add(static_cast<uint64_t>(source.state().changed));
  }
  return checksum.value();
}

uint64_t Corpus::fingerprint() {
  if (!fingerprint_) fingerprint_ = checksum(/*all_bytes=*/true);
  return *fingerprint_;
}

std::string Corpus::size_text() const {
  return text::count_of(num_files(), "file") + ", " + text::count_of(num_tokens(), "token");
}

DataRecord Corpus::record() { return {fingerprint(), times(), size_text()}; }

std::string Corpus::difference_from(const DataRecord& record) const {
  if (record.size.empty()) {  // of an older release
    return "other files, another order of them, or other bytes; now " + size_text() +
           (notes_.empty() ? "" : " (older releases read hidden files and folders of runs, too)");
  }
  if (record.size == size_text()) return size_text() + " as before, but with other bytes or in another order of files";
  return record.size + " before; " + size_text() + " now";
}

bool Corpus::matches(const DataRecord& record, uint64_t always) {
  constexpr uint64_t kSampledAbove = uint64_t{4} << 30;
  const uint64_t bytes = num_bytes();
  if (!record.times && bytes > kSampledAbove) return checksum(/*all_bytes=*/false) == record.fingerprint;
  if (!fingerprint_ && record.times == times() && bytes > always) fingerprint_ = record.fingerprint;
  return fingerprint() == record.fingerprint;
}

/// A sequence may begin in one file and end in another.
void Corpus::read(int64_t begin, int64_t* out) const {
  int64_t left = context_length_ + 1;
  auto source = static_cast<size_t>(std::upper_bound(begins_.begin(), begins_.end(), begin) - begins_.begin()) - 1;
  try {
    for (; left > 0; ++source) {
      const int64_t count = std::min(left, begins_[source + 1] - begin);
      if (count > 0) sources_[source].read(begin - begins_[source], count, out);
      begin += count;
      out += count;
      left -= count;
    }
  } catch (const std::runtime_error& error) {
    throw DataError(error.what());
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
