// AdamW by torch's fused kernels, with clipping and the skipping of steps that are not finite; nothing waits for the
// device.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <string>
#include <vector>

#include "train/config.h"

namespace lighthouse::train {

class AdamW {
 public:
  /// A parameter's state: running means of gradients and of their squares, and the count of steps, float32 of no
  /// dimension.
  struct State {
    std::string name;
    torch::Tensor parameter;
    torch::Tensor first_moment;
    torch::Tensor second_moment;
    torch::Tensor steps;
  };

  /// Of all the module's parameters. Weight decay pulls matrices only: a norm's gain has no reason to go to zero.
  AdamW(const torch::nn::Module& module, const OptimizerConfig& config);

  /// Forgets the gradients.
  void zero_grad();

  /// A step by the parameters' gradients, clipped to the configuration's norm; none where that norm or `loss` is not
  /// finite. Returns float32 [3] on the parameters' device: loss, norm before clipping, 1 where it was skipped.
  torch::Tensor step(double learning_rate, const torch::Tensor& loss);

  const std::vector<State>& states() const { return states_; }

 private:
  void update(bool matrices, double learning_rate, const torch::Tensor& grad_scale, const torch::Tensor& skipped);

  OptimizerConfig config_;
  std::vector<State> states_;
};

}  // namespace lighthouse::train
