// The attention kernel that a run names: used in every layer, refused before the first step where it cannot run.
#include <torch/types.h>
#include <torch/utils.h>

#include <cstdlib>
#include <vector>

#include "lighthouse/attention.h"
#include "temporary_folder.h"
#include "train/config.h"
#include "train/trainer.h"

#include "tiny_run.h"

namespace lighthouse::test {
namespace {

/// Sets LIGHTHOUSE_INNER for a while.
class InnerVariable {
 public:
  explicit InnerVariable(const char* value) { setenv("LIGHTHOUSE_INNER", value, 1); }
  ~InnerVariable() { unsetenv("LIGHTHOUSE_INNER"); }
};

TEST(InnerKernel, RunsUseTheOneThatIsNamed) {
  const TemporaryFolder folder;
  auto config = tiny_run(folder);
  const auto losses = [&] {
    std::vector<double> values;
    for (const auto& step : train::Trainer(config).run().steps) values.push_back(step.loss);
    return values;
  };
  const auto by_rule = losses();
  config.training.inner_kernel = InnerKernel::kFlash;
  EXPECT_EQ(losses(), by_rule);
  config.training.inner_kernel = InnerKernel::kMath;
  const auto by_math = losses();
  ASSERT_EQ(by_math.size(), by_rule.size());
  EXPECT_NE(by_math, by_rule);
  EXPECT_NEAR(by_math.front(), by_rule.front(), 1e-4);
  config.training.inner_kernel = InnerKernel::kAuto;
  const InnerVariable variable("math");
  EXPECT_EQ(losses(), by_math);
}

TEST(InnerKernel, WhatCannotRunIsRefusedBeforeTheFirstStep) {
  const TemporaryFolder folder;
  auto config = tiny_run(folder);
  config.training.inner_kernel = InnerKernel::kCudnn;
  expect_error([&] { train::Trainer trainer(config); },
               {"the inner kernel cudnn runs on CUDA; got tensors on the CPU, which has auto, flash and math"});
  config.training.inner_kernel = InnerKernel::kAuto;
  const InnerVariable variable("fastest");
  expect_error([&] { train::Trainer trainer(config); },
               {"LIGHTHOUSE_INNER must be one of auto, cudnn, flash, efficient, math; got \"fastest\""});
}

TEST(InnerKernel, ConfigurationsRefuseWhatContradictsThem) {
  const TemporaryFolder folder;
  auto config = tiny_run(folder);
  config.training.deterministic = true;
  config.training.inner_kernel = InnerKernel::kCudnn;
  expect_error([&] { train::parse_config(train::to_toml(config), "run.toml"); },
               {"run.toml: training.inner_kernel must not be \"cudnn\" with training.deterministic"});
  config.training.deterministic = false;
  EXPECT_EQ(train::parse_config(train::to_toml(config), "run.toml").training.inner_kernel, InnerKernel::kCudnn);
  expect_error([&] { train::parse_config(train::to_toml(config), "run.toml", {"training.inner_kernel=fast"}); },
               {"training.inner_kernel", "auto", "cudnn", "flash", "efficient", "math", "fast"});
}

TEST(InnerKernel, HasNames) {
  for (const char* name : {"auto", "cudnn", "flash", "efficient", "math"}) {
    EXPECT_STREQ(name_of(inner_kernel_named(name)), name);
  }
  expect_error([] { inner_kernel_named("Flash"); }, {"one of auto, cudnn, flash, efficient, math; got \"Flash\""});
  AttentionOptions both;
  both.inner = [](const auto& query, const auto&, const auto&, double) { return query; };
  both.inner_kernel = InnerKernel::kFlash;
  const auto query = torch::zeros({1, 2, 64, 8});
  expect_error([&] { attention(query, query, query, both); }, {"or the name of a kernel, not both", "flash"});
  EXPECT_EQ(chosen_inner_kernel(torch::zeros({1, 2, 5, 8})), InnerKernel::kFlash);
}

}  // namespace
}  // namespace lighthouse::test
