// What is said of Lighthouse stages that attend densely.
#include <gtest/gtest.h>

#include "cli/dense_notes.h"

namespace lighthouse::test {
namespace {

std::string notes_of(const train::RunConfig& config) {
  testing::internal::CaptureStderr();
  cli::note_dense_stages(config);
  return testing::internal::GetCapturedStderr();
}

TEST(DenseNotes, NameTheStageAndItsNumbers) {
  train::RunConfig config;
  config.data.context_length = 2048;
  config.stages.resize(3);
  config.stages[0].name = "first";
  config.stages[1].name = "second";
  config.stages[2].name = "third";
  config.stages[2].lighthouse = false;
  EXPECT_EQ(notes_of(config), "") << "the default top_k gathers fewer tokens than there are";

  config.stages[1].top_k = 1536;
  const std::string retained = std::to_string(retained_length(2048, config.attention_of(config.stages[1])));
  EXPECT_EQ(notes_of(config), "Note: stage second attends densely: Lighthouse attention would retain " + retained +
                                  " of 2048 tokens (num_levels=3, pooling_factor=4, top_k=1536). A longer "
                                  "data.context_length or a smaller attention.top_k would gain.\n");
}

TEST(DenseNotes, NameEveryLayersChoice) {
  train::RunConfig config;
  config.stages.resize(1);
  config.model.num_hidden_layers = 2;
  config.model.full_attention_layers = {0, 1};
  EXPECT_NE(notes_of(config).find("full_attention_layers names every layer"), std::string::npos);
  config.stages[0].lighthouse = false;
  EXPECT_EQ(notes_of(config), "") << "that was asked for";
}

}  // namespace
}  // namespace lighthouse::test
