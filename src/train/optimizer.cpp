#include "train/optimizer.h"

#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace lighthouse::train {

using torch::Tensor;

AdamW::AdamW(const torch::nn::Module& module, const OptimizerConfig& config) : config_(config) {
  for (const auto& item : module.named_parameters()) {
    const Tensor& parameter = item.value();
    states_.push_back({item.key(), parameter, torch::zeros_like(parameter), torch::zeros_like(parameter),
                       torch::zeros({}, parameter.options().dtype(torch::kFloat).requires_grad(false))});
  }
}

void AdamW::zero_grad() {
  for (State& state : states_) state.parameter.mutable_grad() = Tensor();
}

Tensor AdamW::step(double learning_rate, const Tensor& loss) {
  const torch::NoGradGuard no_grad;
  std::vector<Tensor> gradients;
  std::vector<Tensor> counts;
  for (const State& state : states_) {
    if (!state.parameter.grad().defined()) continue;
    gradients.push_back(state.parameter.grad());
    counts.push_back(state.steps);
  }
  const Tensor norm = torch::stack(at::_foreach_norm(gradients, 2)).norm().to(torch::kFloat);
  const Tensor value = loss.detach().to(torch::kFloat);
  const Tensor skipped =
      torch::logical_not(torch::isfinite(norm).logical_and(torch::isfinite(value))).to(torch::kFloat);
  Tensor report = torch::stack({value, norm, skipped});
  at::_foreach_add_(counts, 1 - skipped);
  // The kernel for the CPU does not look at `skipped` before it writes.
  if (norm.is_cpu() && skipped.item<float>() != 0) return report;
  Tensor grad_scale;  // the kernel divides gradients by it
  if (config_.clip_norm > 0) grad_scale = ((norm + 1e-6) / config_.clip_norm).clamp_min(1.0);
  update(/*matrices=*/true, learning_rate, grad_scale, skipped);
  update(/*matrices=*/false, learning_rate, grad_scale, skipped);
  return report;
}

void AdamW::update(bool matrices, double learning_rate, const Tensor& grad_scale, const Tensor& skipped) {
  std::vector<Tensor> parameters, gradients, first, second, counts;
  for (const State& state : states_) {
    if ((state.parameter.dim() > 1) != matrices || !state.parameter.grad().defined()) continue;
    parameters.push_back(state.parameter);
    gradients.push_back(state.parameter.grad());
    first.push_back(state.first_moment);
    second.push_back(state.second_moment);
    counts.push_back(state.steps);
  }
  if (parameters.empty()) return;
  std::optional<Tensor> scale;
  if (grad_scale.defined()) scale = grad_scale;
  at::_fused_adamw_(parameters, gradients, first, second, /*max_exp_avg_sqs=*/{}, counts, learning_rate, config_.beta1,
                    config_.beta2, matrices ? config_.weight_decay : 0.0, config_.epsilon, /*amsgrad=*/false,
                    /*maximize=*/false, scale, skipped);
}

}  // namespace lighthouse::train
