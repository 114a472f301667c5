#include "inference/sampler.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "text/number_text.h"

namespace lighthouse::inference {
namespace {

/// As many of the likeliest are sorted at first: of large vocabularies few tokens hold nearly all probability.
constexpr int64_t kSortedFirst = 1024;

int64_t likeliest(const torch::Tensor& logits) {
  const auto [value, token] = logits.max(0);
  if (!std::isfinite(value.item<float>())) throw std::runtime_error("the model's logits are not finite");
  return token.item<int64_t>();
}

/// The `count` likeliest tokens, and their probabilities, which fall; equal ones in the order of their numbers.
std::pair<torch::Tensor, torch::Tensor> likeliest_first(const torch::Tensor& probabilities, int64_t count) {
  if (count == probabilities.size(0)) {
    const auto [sorted, tokens] = probabilities.sort(/*stable=*/true, 0, /*descending=*/true);
    return {sorted, tokens};
  }
  // topk leaves open how it orders equal ones.
  const auto [largest, unordered] = probabilities.topk(count);
  const torch::Tensor by_number = unordered.argsort();
  const auto [sorted, places] = largest.index_select(0, by_number).sort(/*stable=*/true, 0, /*descending=*/true);
  return {sorted, unordered.index_select(0, by_number).index_select(0, places)};
}

}  // namespace

void check(const SamplingOptions& options) {
  const double temperature = options.temperature;
  if (temperature != 0 && !(temperature >= kLeastTemperature && temperature <= kMostTemperature)) {
    throw std::invalid_argument("temperature must be 0 (always the likeliest token) or from " +
                                text::shortest(kLeastTemperature) + " to " + text::shortest(kMostTemperature) +
                                "; got " + text::shortest(temperature));
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    throw std::invalid_argument("top_p must be above 0, at most 1; got " + text::shortest(options.top_p));
  }
}

Sampler::Sampler(const SamplingOptions& options) : options_(options), random_(options.seed) { check(options); }

int64_t Sampler::operator()(const torch::Tensor& logits) {
  if (options_.temperature == 0) return likeliest(logits);
  const torch::Tensor probabilities = torch::softmax((logits - logits.max()) / options_.temperature, 0);
  // Not std::uniform_real_distribution: this is the same with every standard library.
  const double draw = static_cast<double>(random_() >> 11) * 0x1p-53;
  for (int64_t count = std::min(kSortedFirst, logits.size(0));; count = logits.size(0)) {
    const auto [sorted, tokens] = likeliest_first(probabilities, count);
    // A token stays if those before it hold less than top_p. All stay with 1, which their rounded sum may exceed early.
    const double limit = options_.top_p < 1 ? options_.top_p : INFINITY;
    const torch::Tensor stays = sorted.cumsum(0, torch::kDouble) - sorted < limit;
    // All that stay, and all that are as likely as one of them, must be among the sorted ones.
    const bool all = count == logits.size(0) || (torch::where(stays, sorted, INFINITY).min() > sorted[-1]).item<bool>();
    if (!all) continue;
    const torch::Tensor kept = torch::where(stays, sorted, 0.0).cumsum(0, torch::kDouble);
    const double total = kept[-1].item<double>();
    if (!(total > 0)) throw std::runtime_error("the model's logits are not finite");
    const int64_t place = (kept <= draw * total).sum().item<int64_t>();
    return tokens[std::min(place, count - 1)].item<int64_t>();
  }
}

}  // namespace lighthouse::inference
