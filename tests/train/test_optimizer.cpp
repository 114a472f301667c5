// AdamW where a step's size does not show it: Adam divides by the gradient's own size, so these look at its state.
#include <torch/nn/modules/linear.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "temporary_folder.h"
#include "train/optimizer.h"

namespace lighthouse::test {
namespace {

void set_gradients(torch::nn::Linear& module, double value) {
  for (auto& parameter : module->parameters()) parameter.mutable_grad() = torch::full_like(parameter, value);
}

torch::nn::Linear copy_of(const torch::nn::Linear& module) {
  torch::nn::Linear copy(module->options);
  const torch::NoGradGuard no_grad;
  copy->weight.copy_(module->weight);
  copy->bias.copy_(module->bias);
  return copy;
}

TEST(Optimizer, ClippingOnlyEverLowersGradients) {
  // Four ones: a norm of 2. After a first step the moments are the clipped gradient and its square, times 1 - beta.
  for (const double clip : {0.5, 2.0, 2.5, 100.0, 0.0}) {
    torch::nn::Linear module(3, 1);
    train::OptimizerConfig config;
    config.clip_norm = clip;
    train::AdamW optimizer(*module, config);
    set_gradients(module, 1.0);
    EXPECT_FLOAT_EQ(optimizer.step(0.1, torch::tensor(1.0F))[1].item<float>(), 2.0F) << "the norm before clipping";
    const double gradient = clip > 0 ? std::min(1.0, clip / 2.0) : 1.0;
    for (const auto& state : optimizer.states()) {
      const auto first = torch::full_like(state.first_moment, (1 - config.beta1) * gradient);
      const auto second = torch::full_like(state.second_moment, (1 - config.beta2) * gradient * gradient);
      EXPECT_TRUE(torch::allclose(state.first_moment, first, 1e-5, 0)) << clip << " " << state.first_moment;
      EXPECT_TRUE(torch::allclose(state.second_moment, second, 1e-5, 0)) << clip << " " << state.second_moment;
    }
  }
}

TEST(Optimizer, ASkippedStepIsNoStep) {
  // Whatever is skipped before and between, the steps that are taken are those of an optimiser that saw nothing else.
  torch::manual_seed(1);
  torch::nn::Linear plain(3, 2);
  torch::nn::Linear disturbed = copy_of(plain);
  train::AdamW one(*plain, {});
  train::AdamW other(*disturbed, {});
  for (int step = 1; step <= 3; ++step) {
    for (const double wrong : {std::nan(""), HUGE_VAL}) {
      set_gradients(disturbed, wrong);
      EXPECT_EQ(other.step(0.1, torch::tensor(1.0F))[2].item<float>(), 1);
    }
    set_gradients(disturbed, 0.25 * step);
    EXPECT_EQ(other.step(0.1, torch::tensor(NAN))[2].item<float>(), 1);
    for (auto* module : {&plain, &disturbed}) set_gradients(*module, 0.25 * step);
    one.step(0.1, torch::tensor(1.0F));
    EXPECT_EQ(other.step(0.1, torch::tensor(1.0F))[2].item<float>(), 0);
    for (size_t i = 0; i < one.states().size(); ++i) {
      const auto& expected = one.states()[i];
      const auto& got = other.states()[i];
      EXPECT_EQ(got.steps.item<float>(), static_cast<float>(step)) << got.name;
      EXPECT_TRUE(torch::equal(got.parameter, expected.parameter)) << got.name;
      EXPECT_TRUE(torch::equal(got.first_moment, expected.first_moment)) << got.name;
      EXPECT_TRUE(torch::equal(got.second_moment, expected.second_moment)) << got.name;
    }
  }
}

TEST(Optimizer, DecayPullsMatricesOnly) {
  torch::nn::Linear module(3, 2);
  const torch::nn::Linear before = copy_of(module);
  train::OptimizerConfig config;
  config.weight_decay = 0.5;
  train::AdamW optimizer(*module, config);
  set_gradients(module, 0.0);
  optimizer.step(0.1, torch::tensor(1.0F));
  EXPECT_TRUE(torch::allclose(module->weight, before->weight * (1 - 0.1 * 0.5), 1e-6, 0));
  EXPECT_TRUE(torch::equal(module->bias, before->bias));
}

}  // namespace
}  // namespace lighthouse::test
