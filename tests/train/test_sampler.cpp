// The sampler at the borders of the nucleus, and against its own random numbers.
#include <torch/types.h>

#include <random>
#include <set>

#include "inference/sampler.h"
#include "temporary_folder.h"

namespace lighthouse::test {
namespace {

using inference::Sampler;

TEST(Sampler, TheNucleusEndsWhereItHoldsTopP) {
  // Of four tokens of exactly a quarter each, half is two of them: a third would hold more than is asked for.
  const auto logits = torch::zeros({4});
  for (const auto& [top_p, expected] : std::vector<std::pair<double, size_t>>{
           {0.01, 1}, {0.25, 1}, {0.26, 2}, {0.5, 2}, {0.51, 3}, {0.75, 3}, {0.76, 4}, {1, 4}}) {
    Sampler sample({1, top_p, 3});
    std::set<int64_t> found;
    for (int i = 0; i < 200; ++i) found.insert(sample(logits));
    EXPECT_EQ(found.size(), expected) << "top_p " << top_p;
  }
}

TEST(Sampler, DrawsByTheFirst53BitsOfItsGenerator) {
  const auto logits = torch::tensor({0.3, 0.1, 0.6}, torch::kFloat).log();
  for (const uint64_t seed : {uint64_t{0}, uint64_t{7}, uint64_t{1} << 40}) {
    Sampler sample({1, 1, seed});
    std::mt19937_64 random(seed);
    for (int i = 0; i < 100; ++i) {
      const double draw = static_cast<double>(random() >> 11) / 9007199254740992.0;  // 2^53
      const int64_t expected = draw < 0.6 ? 2 : draw < 0.9 ? 0 : 1;
      EXPECT_EQ(sample(logits), expected) << "seed " << seed << ", draw " << i << ": " << draw;
    }
  }
}

TEST(Sampler, TheTemperatureDividesTheLogits) {
  // At temperature 1/2 probabilities are squared, at 2 they are square roots: 0.8 and 0.2 become 16 to 1 and 2 to 1.
  const auto logits = torch::tensor({0.8, 0.2}, torch::kFloat).log();
  for (const auto& [temperature, share] : std::vector<std::pair<double, double>>{{0.5, 16.0 / 17}, {2, 2.0 / 3}}) {
    Sampler sample({temperature, 1, 5});
    int first = 0;
    for (int i = 0; i < 4000; ++i) first += sample(logits) == 0 ? 1 : 0;
    EXPECT_NEAR(first / 4000.0, share, 0.03) << temperature;
  }
}

}  // namespace
}  // namespace lighthouse::test
