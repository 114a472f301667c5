#include "analysis/position_loss.h"

#include <torch/types.h>

#include <stdexcept>
#include <string>

#include "analysis/expect_finite.h"

namespace lighthouse::analysis {

std::vector<int64_t> position_bounds(int64_t length) {
  std::vector<int64_t> bounds = {0};
  for (int64_t bound = 128; bound < length; bound *= 2) bounds.push_back(bound);
  bounds.push_back(length);
  return bounds;
}

PositionLossSum::PositionLossSum(int64_t length) : bounds_(position_bounds(length)), means_(bounds_.size() - 1) {}

void PositionLossSum::add(const torch::Tensor& losses) {
  const int64_t length = bounds_.back();
  if (losses.dim() != 1 || losses.size(0) != length) {
    throw std::invalid_argument("position loss: expected the losses of " + std::to_string(length) + " tokens; got " +
                                std::to_string(losses.numel()));
  }
  const torch::Tensor values = losses.to(torch::kCPU, torch::kDouble);
  expect_finite(values, "losses");
  for (size_t i = 0; i < means_.size(); ++i)
    means_[i].push_back(values.slice(0, bounds_[i], bounds_[i + 1]).mean().item<double>());
  overall_.push_back(values.mean().item<double>());
}

PositionLoss PositionLossSum::result() const {
  PositionLoss result;
  result.sequences = static_cast<int64_t>(overall_.size());
  const auto bucket = [&](int64_t begin, int64_t end, const std::vector<double>& means) {
    return PositionBucket{begin, end, (end - begin) * result.sequences, mean_of(means)};
  };
  for (size_t i = 0; i < means_.size(); ++i) result.buckets.push_back(bucket(bounds_[i], bounds_[i + 1], means_[i]));
  result.overall = bucket(0, bounds_.back(), overall_);
  return result;
}

}  // namespace lighthouse::analysis
