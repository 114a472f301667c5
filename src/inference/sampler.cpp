#include "inference/sampler.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>

namespace lighthouse::inference {
namespace {

/// As many of the likeliest are sorted at first: of large vocabularies few tokens hold nearly all probability.
constexpr int64_t kSortedFirst = 1024;

int64_t likeliest(const torch::Tensor& logits) {
  const auto [value, token] = logits.max(0);
  if (!std::isfinite(value.item<float>())) throw std::runtime_error("the model's logits are not finite");
  return token.item<int64_t>();
}

}  // namespace

void check(const SamplingOptions& options) {
  const auto text = [](double value) {
    std::ostringstream out;
    out << value;
    return out.str();
  };
  if (!(options.temperature >= 0)) {
    throw std::invalid_argument("temperature must be at least 0; got " + text(options.temperature));
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    throw std::invalid_argument("top_p must be above 0, at most 1; got " + text(options.top_p));
  }
}

Sampler::Sampler(const SamplingOptions& options) : options_(options), random_(options.seed) { check(options); }

int64_t Sampler::operator()(const torch::Tensor& logits) {
  if (options_.temperature == 0) return likeliest(logits);
  const torch::Tensor probabilities = torch::softmax((logits - logits.max()) / options_.temperature, 0);
  // Not std::uniform_real_distribution: this is the same with every standard library.
  const double draw = static_cast<double>(random_() >> 11) * 0x1p-53;
  for (int64_t count = std::min(kSortedFirst, logits.size(0));; count = logits.size(0)) {
    const auto [sorted, order] = probabilities.topk(count);  // descending
    const torch::Tensor before = sorted.cumsum(0, torch::kDouble) - sorted;
    // A token stays if those likelier than it hold less than top_p; all that stay must be among the sorted ones.
    const torch::Tensor kept = torch::where(before < options_.top_p, sorted, 0.0).cumsum(0, torch::kDouble);
    const bool all_kept = count == logits.size(0) || before[-1].item<double>() >= options_.top_p;
    if (!all_kept) continue;
    const double total = kept[-1].item<double>();
    if (!(total > 0)) throw std::runtime_error("the model's logits are not finite");
    const int64_t place = (kept <= draw * total).sum().item<int64_t>();
    return order[std::min(place, count - 1)].item<int64_t>();
  }
}

}  // namespace lighthouse::inference
