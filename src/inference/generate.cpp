#include "inference/generate.h"

#include <torch/torch.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace lighthouse::inference {
namespace {

void check(const std::string& prompt, const GenerateOptions& options) {
  if (prompt.empty()) throw std::invalid_argument("generate: expected a prompt of at least one byte; got none");
  if (options.max_new_tokens < 0) throw std::invalid_argument("generate: max_new_tokens must be at least 0");
  if (!(options.temperature >= 0)) throw std::invalid_argument("generate: temperature must be at least 0");
  if (!(options.top_p > 0 && options.top_p <= 1))
    throw std::invalid_argument("generate: top_p must be above 0, at most 1");
}

/// logits [V] -> a byte.
int64_t sample(const torch::Tensor& logits, const GenerateOptions& options, torch::Generator& generator) {
  if (options.temperature == 0) return logits.argmax().item<int64_t>();
  const torch::Tensor probabilities =
      torch::softmax((logits - logits.max()).to(torch::kDouble) / options.temperature, 0);
  const auto [sorted, order] = probabilities.sort(/*dim=*/0, /*descending=*/true);
  // A byte stays if those likelier than it hold less than top_p.
  const torch::Tensor kept = torch::where(sorted.cumsum(0) - sorted < options.top_p, sorted, 0.0);
  return order[torch::multinomial(kept, 1, /*replacement=*/false, generator).item<int64_t>()].item<int64_t>();
}

}  // namespace

std::string generate(model::Decoder& decoder, const std::string& prompt, const GenerateOptions& options,
                     const std::function<void(char)>& on_byte) {
  check(prompt, options);
  const torch::NoGradGuard no_grad;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(options.seed);
  std::vector<int64_t> bytes;
  for (const char c : prompt) bytes.push_back(static_cast<unsigned char>(c));
  torch::Tensor next = torch::tensor(bytes).unsqueeze(0);  // [1, prompt]
  model::KeyValueCache cache;
  std::string text;
  for (int64_t i = 0; i < options.max_new_tokens; ++i) {
    const torch::Tensor logits = decoder->next_logits(next, cache)[0].slice(0, 0, 256);
    const int64_t byte = sample(logits, options, generator);
    text.push_back(static_cast<char>(byte));
    if (on_byte) on_byte(text.back());
    next = torch::full({1, 1}, byte, torch::kInt64);
  }
  return text;
}

}  // namespace lighthouse::inference
