#include "analysis/retrieval.h"

#include "analysis/evaluation_random.h"

namespace lighthouse::analysis {
namespace {

constexpr uint64_t kStream = 1;
// No digits: the prompt's only digit is the answer.
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const std::string kQuestion = "\nThe magic number is ";
const std::string kAfterDigit = ".\n";

}  // namespace

int64_t shortest_retrieval() { return static_cast<int64_t>(2 * kQuestion.size() + 1 + kAfterDigit.size()); }

RetrievalPrompt retrieval_prompt(int64_t length, int64_t depth, int64_t trial, uint64_t seed) {
  EvaluationRandom random(seed, kStream, length, depth, trial);
  const char digit = static_cast<char>('0' + random.below(10));
  const int64_t filler = length - shortest_retrieval();
  const int64_t before = (filler * depth + 50) / 100;
  std::string text = random.text(before, kLetters) + kQuestion + digit + kAfterDigit;
  text += random.text(filler - before, kLetters) + kQuestion;
  return {std::move(text), digit};
}

std::vector<RetrievalCell> evaluate_retrieval(const LastLogits& model, const TaskGrid& grid,
                                              const BeforeSequence& before) {
  check(grid, shortest_retrieval(), "retrieval");
  std::vector<RetrievalCell> cells;
  for (const int64_t length : grid.lengths) {
    for (const int64_t depth : grid.depths) {
      RetrievalCell cell{length, depth, 0, grid.trials};
      for (int64_t trial = 0; trial < grid.trials; ++trial) {
        if (before) before("retrieval", length);
        const RetrievalPrompt prompt = retrieval_prompt(length, depth, trial, grid.seed);
        const torch::Tensor logits = model(tokens_of(prompt.text), 1)[0];
        const int64_t answer = logits.slice(0, '0', '9' + 1).argmax().item<int64_t>();
        cell.right += answer == prompt.digit - '0';
      }
      cells.push_back(cell);
    }
  }
  return cells;
}

RetrievalCell overall(const std::vector<RetrievalCell>& cells) {
  RetrievalCell all;
  for (const auto& cell : cells) {
    all.right += cell.right;
    all.trials += cell.trials;
  }
  return all;
}

}  // namespace lighthouse::analysis
