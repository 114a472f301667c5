#include "analysis/copy_task.h"

#include <torch/types.h>

#include <numeric>
#include <stdexcept>

#include "analysis/evaluation_random.h"

namespace lighthouse::analysis {
namespace {

constexpr uint64_t kStream = 2;
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
const std::string kMarker = "\nCopy: ";

/// Words of one to eight letters.
std::string words(EvaluationRandom& random, int64_t length) {
  std::string text;
  while (static_cast<int64_t>(text.size()) < length) text += random.text(1 + random.below(8), kLetters) + " ";
  text.resize(static_cast<size_t>(length));
  return text;
}

}  // namespace

void check_copy_length(int64_t copy_length) {
  if (copy_length <= kCopyPrefix) {
    throw std::invalid_argument("copy: the string must have at least " + std::to_string(kCopyPrefix + 1) +
                                " bytes; got " + std::to_string(copy_length));
  }
}

int64_t shortest_copy(int64_t copy_length) {
  // Beside the two strings a line's end, less the last byte, which is not read.
  return 2 * (static_cast<int64_t>(kMarker.size()) + copy_length);
}

std::string copy_text(int64_t length, int64_t depth, int64_t trial, int64_t copy_length, uint64_t seed) {
  EvaluationRandom random(seed, kStream, length, depth, trial);
  const std::string copied = random.text(copy_length, kLetters);
  const int64_t filler = length - shortest_copy(copy_length);
  const int64_t before = (filler * depth + 50) / 100;
  std::string text = words(random, before) + kMarker + copied + "\n";
  text += words(random, filler - before) + kMarker + copied;
  return text;
}

double CopyCell::score() const {
  return std::accumulate(shares.begin(), shares.end(), 0.0) / static_cast<double>(shares.size());
}

Interval CopyCell::interval() const {
  return wilson_interval(std::accumulate(shares.begin(), shares.end(), 0.0), static_cast<double>(shares.size()));
}

std::vector<CopyCell> evaluate_copying(const LastLogits& model, const TaskGrid& grid, int64_t copy_length,
                                       const BeforeSequence& before) {
  check_copy_length(copy_length);
  check(grid, shortest_copy(copy_length), "copy");
  const int64_t scored = copy_length - kCopyPrefix;
  std::vector<CopyCell> cells;
  for (const int64_t length : grid.lengths) {
    for (const int64_t depth : grid.depths) {
      CopyCell cell{length, depth, {}, {}};
      for (int64_t trial = 0; trial < grid.trials; ++trial) {
        if (before) before("copy", length);
        const torch::Tensor tokens = tokens_of(copy_text(length, depth, trial, copy_length, grid.seed));
        const torch::Tensor logits = model(tokens.slice(1, 0, length), scored);  // [scored, V]
        const torch::Tensor targets = tokens[0].slice(0, -scored);
        cell.shares.push_back((logits.argmax(1) == targets).to(torch::kDouble).mean().item<double>());
        cell.losses.push_back(torch::cross_entropy_loss(logits, targets).item<double>());
      }
      cells.push_back(std::move(cell));
    }
  }
  return cells;
}

CopyCell overall(const std::vector<CopyCell>& cells) {
  CopyCell all;
  for (const auto& cell : cells) {
    all.shares.insert(all.shares.end(), cell.shares.begin(), cell.shares.end());
    all.losses.insert(all.losses.end(), cell.losses.begin(), cell.losses.end());
  }
  return all;
}

}  // namespace lighthouse::analysis
