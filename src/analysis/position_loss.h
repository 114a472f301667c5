// Held-out loss by position: how much a model gains from what stands further back.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "analysis/confidence.h"

namespace lighthouse::analysis {

struct PositionBucket {
  int64_t begin = 0;
  int64_t end = 0;    ///< Positions [begin, end).
  int64_t count = 0;  ///< Tokens that the mean is of, over all sequences.
  Mean loss;          ///< Nats per token; the interval is over the sequences' own means.
};

struct PositionLoss {
  int64_t sequences = 0;
  std::vector<PositionBucket> buckets;
  PositionBucket overall;
};

/// The bounds 0, 128, 256, 512, ... that lie below `length`, and `length`.
std::vector<int64_t> position_bounds(int64_t length);

/// Adds up the losses of sequences of one length.
class PositionLossSum {
 public:
  explicit PositionLossSum(int64_t length);
  /// losses [N], of any floating type, on any device.
  void add(const torch::Tensor& losses);
  PositionLoss result() const;

 private:
  std::vector<int64_t> bounds_;
  std::vector<std::vector<double>> means_;  // [bucket][sequence]
  std::vector<double> overall_;             // [sequence]
};

}  // namespace lighthouse::analysis
