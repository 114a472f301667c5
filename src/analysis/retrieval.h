// Retrieval: one digit hidden in random letters, asked for at the end. docs/EVALUATION.md has the format.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/task_grid.h"

namespace lighthouse::analysis {

struct RetrievalPrompt {
  std::string text;  ///< Of the length asked for; the digit is the next byte.
  char digit = '0';
};

/// The least length: the sentence with the digit, and the question.
int64_t shortest_retrieval();
RetrievalPrompt retrieval_prompt(int64_t length, int64_t depth, int64_t trial, uint64_t seed);

struct RetrievalCell {
  int64_t length = 0;
  int64_t depth = 0;
  int64_t right = 0;
  int64_t trials = 0;

  double score() const { return static_cast<double>(right) / static_cast<double>(trials); }
  Interval interval() const { return wilson_interval(static_cast<double>(right), static_cast<double>(trials)); }
};

/// What blind guessing scores.
inline constexpr double kRetrievalChance = 0.1;

/// The likeliest of the ten digits against the hidden one; cells by length, then depth, in the grid's order.
std::vector<RetrievalCell> evaluate_retrieval(const LastLogits& model, const TaskGrid& grid,
                                              const BeforeSequence& before = {});

/// All cells as one; length and depth are 0.
RetrievalCell overall(const std::vector<RetrievalCell>& cells);

}  // namespace lighthouse::analysis
