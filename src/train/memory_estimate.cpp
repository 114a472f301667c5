#include "train/memory_estimate.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>

namespace lighthouse::train {
namespace {

constexpr double kFloat = 4;  // bytes

double parameters(const model::ModelConfig& m) {
  const auto hidden = static_cast<double>(m.hidden_size);
  const auto head_dim = static_cast<double>(m.head_dim);
  const double query = static_cast<double>(m.num_attention_heads) * head_dim;
  const double key_value = 2 * static_cast<double>(m.num_key_value_heads) * head_dim;
  const double layer = hidden * (2 * query + key_value + 3 * static_cast<double>(m.intermediate_size) + 2);
  const double embeddings = static_cast<double>(m.vocab_size) * hidden * (m.tie_word_embeddings ? 1 : 2);
  return static_cast<double>(m.num_hidden_layers) * layer + embeddings + hidden;
}

/// Values kept per token: in each layer its input, the two normal forms, query, key, value, the attention's output and
/// three of the feed-forward part; at the end the logits and their gradient.
double activations_per_token(const model::ModelConfig& m) {
  const auto hidden = static_cast<double>(m.hidden_size);
  const double heads = 2 * (static_cast<double>(m.num_attention_heads) + static_cast<double>(m.num_key_value_heads));
  const double layer =
      4 * hidden + heads * static_cast<double>(m.head_dim) + 3 * static_cast<double>(m.intermediate_size);
  return static_cast<double>(m.num_hidden_layers) * layer + 2 * static_cast<double>(m.vocab_size);
}

std::string gigabytes(double bytes) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.3g GB", bytes / 1e9);
  return text;
}

}  // namespace

double least_training_bytes(const RunConfig& config) {
  const double tokens =
      static_cast<double>(config.training.batch_size) * static_cast<double>(config.data.context_length);
  return kFloat * (4 * parameters(config.model) + tokens * activations_per_token(config.model));
}

double available_memory_bytes() {
  double bytes = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream file(path);
    double limit = 0;
    if (file >> limit && limit > 0) bytes = std::min(bytes, limit);  // "max" is no number
  }
  return bytes;
}

void expect_fits_memory(const RunConfig& config) {
  const double needed = least_training_bytes(config);
  const double available = available_memory_bytes();
  if (needed <= available) return;
  throw std::invalid_argument(
      "the run needs at least " + gigabytes(needed) + " of memory (" + gigabytes(16 * parameters(config.model)) +
      " for " + std::to_string(static_cast<long long>(std::min(parameters(config.model), 1e18))) +
      " parameters, their gradients and the optimiser, the rest for " + std::to_string(config.training.batch_size) +
      " sequences of " + std::to_string(config.data.context_length) + " tokens); the machine has " +
      gigabytes(available) + ". Lower training.batch_size, data.context_length or the model's sizes");
}

}  // namespace lighthouse::train
