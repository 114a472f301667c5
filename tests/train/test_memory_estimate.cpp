// What a run will need of memory, against what a model is made of.
#include <torch/types.h>
#include <torch/utils.h>

#include "model/decoder.h"
#include "tiny_run.h"
#include "train/device.h"
#include "train/memory_estimate.h"

namespace lighthouse::test {
namespace {

using model::Recompute;
using train::RunConfig;

TEST(Memory, WeightsGradientsAndTwoMomentsInFloat32) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  const auto expect_all = [&] {
    const model::Decoder decoder(config.model);
    const auto values = static_cast<double>(model::num_parameters(*decoder));
    EXPECT_EQ(train::estimate_memory(config, 2, Recompute::kFull).parameters, values * 4 * (1 + 1 + 2));
  };
  expect_all();
  config.model.tie_word_embeddings = true;
  expect_all();
  config.model.num_attention_heads = 6;
  config.model.num_key_value_heads = 3;
  config.model.head_dim = 10;
  config.model.intermediate_size = 77;
  config.model.vocab_size = 1000;
  expect_all();
}

TEST(Memory, ActivationsGrowWithTheBatchAndTheType) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  const auto activations = [&](int64_t element, Recompute recompute) {
    return train::estimate_memory(config, element, recompute).activations;
  };
  const double one = activations(2, Recompute::kNone);
  const double selective = activations(2, Recompute::kSelective);
  const double full = activations(2, Recompute::kFull);
  // Beside the selective policy none keeps gate and up of every layer and token; full keeps the sums no more.
  const auto rows = static_cast<double>(config.model.num_hidden_layers * config.data.context_length);
  EXPECT_DOUBLE_EQ(one - selective, 2 * rows * 2 * static_cast<double>(config.model.intermediate_size));
  EXPECT_DOUBLE_EQ(selective - full, 2 * rows * static_cast<double>(config.model.hidden_size));
  config.training.batch_size = 3;
  EXPECT_DOUBLE_EQ(activations(2, Recompute::kNone), 3 * one);
  config.training.accumulation_steps = 5;  // one after the other
  EXPECT_DOUBLE_EQ(activations(2, Recompute::kNone), 3 * one);
  EXPECT_GT(activations(4, Recompute::kNone), 5.9 * one) << "float32 takes twice bfloat16's";
}

TEST(Memory, WhatFitsComputesNothingAgain) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  EXPECT_EQ(train::plan_compute(config).recompute, Recompute::kNone);
  config.training.recompute = Recompute::kFull;
  EXPECT_EQ(train::plan_compute(config).recompute, Recompute::kFull);
}

}  // namespace
}  // namespace lighthouse::test
