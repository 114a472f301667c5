#include "analysis/task_grid.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <stdexcept>

#include "analysis/expect_finite.h"

namespace lighthouse::analysis {

void check(const TaskGrid& grid, int64_t shortest, const std::string& task) {
  for (const int64_t length : grid.lengths) {
    if (length < shortest) {
      throw std::invalid_argument(task + ": lengths must be at least " + std::to_string(shortest) + " tokens; got " +
                                  std::to_string(length));
    }
  }
  for (const int64_t depth : grid.depths) {
    if (depth < 0 || depth > 100)
      throw std::invalid_argument(task + ": depths must be 0 to 100 percent; got " + std::to_string(depth));
  }
  if (grid.trials < 1)
    throw std::invalid_argument(task + ": trials must be at least 1; got " + std::to_string(grid.trials));
}

torch::Tensor tokens_of(const std::string& bytes) {
  torch::Tensor tokens = torch::empty({1, static_cast<int64_t>(bytes.size())}, torch::kInt64);
  std::transform(bytes.begin(), bytes.end(), tokens.data_ptr<int64_t>(),
                 [](char c) { return static_cast<unsigned char>(c); });
  return tokens;
}

LastLogits last_logits_of(model::Decoder& decoder) {
  return [&decoder](const torch::Tensor& tokens, int64_t rows) {
    const torch::NoGradGuard no_grad;
    const torch::Device device = decoder->parameters().front().device();
    const torch::Tensor last = decoder->hidden(tokens.to(device))[0].slice(0, -rows);
    const torch::Tensor logits = decoder->logits(last).to(torch::kCPU, torch::kFloat);
    expect_finite(logits, "logits");
    return logits;
  };
}

}  // namespace lighthouse::analysis
