#include "inference/generate.h"

#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <stdexcept>

namespace lighthouse::inference {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

void check(const GenerateOptions& options) {
  if (options.max_new_tokens < 0 || options.max_new_tokens > std::numeric_limits<int32_t>::max()) {
    throw std::invalid_argument("max_new_tokens must be from 0 to 2147483647; got " +
                                std::to_string(options.max_new_tokens));
  }
  check(options.sampling);
}

void expect_tokens(const std::vector<int64_t>& tokens, int64_t vocab_size) {
  if (tokens.empty()) throw std::invalid_argument("expected a prompt of at least one token; got none");
  const auto wrong =
      std::find_if(tokens.begin(), tokens.end(), [&](int64_t token) { return token < 0 || token >= vocab_size; });
  if (wrong != tokens.end()) {
    throw std::invalid_argument("expected tokens from 0 to " + std::to_string(vocab_size - 1) + "; token " +
                                std::to_string(wrong - tokens.begin()) + " is " + std::to_string(*wrong));
  }
}

Generated generate(Session& session, const std::vector<int64_t>& prompt, const GenerateOptions& options,
                   const std::function<void(int64_t)>& on_token) {
  check(options);
  expect_tokens(prompt, session.vocab_size());
  Sampler sample(options.sampling);
  Generated result;
  torch::Tensor next = torch::tensor(prompt, torch::kInt64);
  auto start = Clock::now();
  for (int64_t i = 0; i < options.max_new_tokens; ++i) {
    torch::Tensor logits = session.append(next);
    if (options.num_choices > 0) logits = logits.slice(0, 0, options.num_choices);
    const int64_t token = sample(logits);
    if (i == 0) {
      result.prompt_seconds = seconds_since(start);
      start = Clock::now();
    }
    result.ended = std::find(options.end.begin(), options.end.end(), token) != options.end.end();
    if (result.ended) break;
    result.tokens.push_back(token);
    if (on_token) on_token(token);
    next = torch::full({1}, token, torch::kInt64);
  }
  result.seconds = seconds_since(start);
  return result;
}

std::string generate_text(const model::Decoder& decoder, const std::string& prompt, GenerateOptions options) {
  constexpr int64_t kBytes = 256;
  options.num_choices = kBytes;
  SessionOptions room;
  room.device = decoder->parameters().front().device();
  room.capacity = std::max<int64_t>(1, static_cast<int64_t>(prompt.size()) + options.max_new_tokens);
  Session session(decoder->config(), model::named_parameters(*decoder), room);
  std::string text;
  generate(session, bytes_as_tokens(prompt), options, [&](int64_t byte) { text.push_back(static_cast<char>(byte)); });
  return text;
}

std::vector<int64_t> bytes_as_tokens(const std::string& text) {
  std::vector<int64_t> tokens;
  for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
  return tokens;
}

}  // namespace lighthouse::inference
