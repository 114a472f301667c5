// A text continued, token by token.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "inference/sampler.h"
#include "inference/session.h"
#include "model/decoder.h"

namespace lighthouse::inference {

struct GenerateOptions {
  int64_t max_new_tokens = 256;
  SamplingOptions sampling;
  std::vector<int64_t> end;  ///< Any of these tokens ends the text; it is not part of it.
  int64_t num_choices = 0;   ///< Only tokens below this are generated; 0: any.
};

struct Generated {
  std::vector<int64_t> tokens;  ///< The new ones.
  bool ended = false;           ///< By a token of `end`.
  double prompt_seconds = 0;    ///< Until the first new token was there.
  double seconds = 0;           ///< For the tokens after it.
};

/// Continues `prompt` (at least one token) in an empty session with room for both; `on_token` sees each new token as it
/// comes. The same options give the same tokens. Throws std::invalid_argument on an empty prompt, a token that is not
/// in the vocabulary, or options out of range.
Generated generate(Session& session, const std::vector<int64_t>& prompt, const GenerateOptions& options,
                   const std::function<void(int64_t)>& on_token = {});

/// The same for a model whose tokens are bytes, on the device that it is on, in float32. Returns the new bytes.
std::string generate_text(const model::Decoder& decoder, const std::string& prompt, GenerateOptions options);

/// Throws std::invalid_argument on options out of range.
void check(const GenerateOptions& options);

/// Throws std::invalid_argument where there is no token, or one that is not in a vocabulary of that size.
void expect_tokens(const std::vector<int64_t>& tokens, int64_t vocab_size);

/// The tokens of a text of bytes.
std::vector<int64_t> bytes_as_tokens(const std::string& text);

}  // namespace lighthouse::inference
