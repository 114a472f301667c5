#include "train/memory_estimate.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>

#include "model/decoder.h"
#include "model/token_loss.h"
#include "text/number_text.h"

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

/// Widths of a layer, in values per token.
struct Widths {
  double hidden, intermediate, query, projections, attended;
  Widths(const model::ModelConfig& m, double element)
      : hidden(static_cast<double>(m.hidden_size)),
        intermediate(static_cast<double>(m.intermediate_size)),
        query(static_cast<double>(m.num_attention_heads) * static_cast<double>(m.head_dim)),
        projections(query + 2 * static_cast<double>(m.num_key_value_heads) * static_cast<double>(m.head_dim)),
        // float32's attention kernel on a GPU gets grouped heads repeated, and keeps them until the backward pass.
        attended(projections + (element >= kFloat && m.num_key_value_heads < m.num_attention_heads ? 2 * query : 0)) {}
};

/// Values per token that a layer keeps: attention's inputs and output for a share of the tokens, and what the policy
/// keeps beside.
double kept_per_token(const Widths& w, double retained, model::Recompute recompute) {
  double kept = w.hidden + retained * (w.attended + w.query);
  if (recompute != model::Recompute::kFull) kept += w.hidden;
  if (recompute == model::Recompute::kNone) kept += 2 * w.intermediate;
  return kept;
}

double kept_in_stage(const RunConfig& config, const StageConfig& stage, double element, model::Recompute recompute) {
  const model::ModelConfig& m = config.model;
  const auto context = static_cast<double>(config.data.context_length);
  double retained = 1;
  if (stage.lighthouse) {
    const auto rows = retained_length(config.data.context_length, config.attention_of(stage));
    retained = std::min(1.0, static_cast<double>(rows) / context);
  }
  const auto layers = static_cast<double>(m.num_hidden_layers);
  const std::set<int64_t> named(m.full_attention_layers.begin(), m.full_attention_layers.end());  // each once
  const double dense = stage.lighthouse ? static_cast<double>(named.size()) : layers;
  const Widths w(m, element);
  return dense * kept_per_token(w, 1, recompute) + (layers - dense) * kept_per_token(w, retained, recompute);
}

}  // namespace

MemoryEstimate estimate_memory(const RunConfig& config, int64_t element_size, model::Recompute recompute) {
  const model::ModelConfig& m = config.model;
  const auto element = static_cast<double>(element_size);
  const double tokens =
      static_cast<double>(config.training.batch_size) * static_cast<double>(config.data.context_length);
  MemoryEstimate estimate;
  estimate.parameters = 4 * kFloat * parameters(m);
  double kept = 0;
  for (const auto& stage : config.stages) kept = std::max(kept, kept_in_stage(config, stage, element, recompute));
  estimate.activations = element * tokens * kept;
  // In the backward pass of attention: gradients of the block's output and of the sum, of attention's output, inputs
  // and projections, and the kernel's float32 gradient of the queries. In the feed-forward part: gate and up and their
  // product for a chunk of rows, beside three rows of the hidden size.
  const Widths w(m, element);
  const double chunk = std::min(tokens, static_cast<double>(model::kFeedForwardRows));
  const double attention = tokens * (element * (2 * w.hidden + w.query + w.projections) + kFloat * w.query);
  const double feed_forward = element * (tokens * 4 * w.hidden + chunk * 4 * w.intermediate);
  // In the loss: the output projection once more for the products, its float32 gradient and a chunk's share of that,
  // the chunk's logits in float32 and for the products.
  const double output = static_cast<double>(m.vocab_size) * w.hidden;
  const double narrow_output = element < kFloat ? element * output : 0;
  const double logits =
      std::min(tokens, static_cast<double>(model::token_loss_rows(m.vocab_size))) * static_cast<double>(m.vocab_size);
  const double loss =
      element * tokens * 3 * w.hidden + narrow_output + 2 * kFloat * output + (kFloat + element) * logits;
  const double table = kFloat * static_cast<double>(config.data.context_length) * static_cast<double>(m.head_dim);
  estimate.working = std::max({attention, feed_forward, loss}) + table;
  return estimate;
}

double estimate_reading(const model::ModelConfig& m, int64_t element_size, int64_t num_tokens) {
  const auto element = static_cast<double>(element_size);
  const auto tokens = static_cast<double>(num_tokens);
  const Widths w(m, element);
  // A block's input, projections and attention's output; or its sum, norm and output, with gate and up and their
  // product for a chunk of rows.
  const double chunk = std::min(tokens, static_cast<double>(model::kFeedForwardRows));
  const double attention = tokens * (w.hidden + w.attended + w.query);
  const double feed_forward = tokens * 3 * w.hidden + chunk * 3 * w.intermediate;
  const double table = kFloat * tokens * static_cast<double>(m.head_dim);
  constexpr double kText = 1 + 2 * sizeof(int64_t);  // bytes and tokens of a text, on the host and the device
  return kFloat * parameters(m) + element * std::max(attention, feed_forward) + table + kText * tokens;
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

void expect_weights_fit(const model::ModelConfig& model, double available) {
  model::check(model);
  const double needed = kFloat * parameters(model);
  if (needed <= available) return;
  throw std::invalid_argument("the model's weights need about " + text::bytes_text(needed) + " of memory; there are " +
                              text::bytes_text(available) + ". Lower the sizes in [model]");
}

void expect_fits_memory(const RunConfig& config, int64_t element_size, model::Recompute recompute, double available) {
  const MemoryEstimate estimate = estimate_memory(config, element_size, recompute);
  if (estimate.total() <= available) return;
  const bool more_recompute = recompute != model::Recompute::kFull;
  throw std::invalid_argument("the run needs about " + text::bytes_text(estimate.total()) + " of memory (" +
                              text::bytes_text(estimate.parameters) + " for " +
                              std::to_string(static_cast<long long>(std::min(parameters(config.model), 1e18))) +
                              " parameters, their gradients and the optimiser, the rest for " +
                              text::count_of(config.training.batch_size, "sequence") + " of " +
                              text::count_of(config.data.context_length, "token") + "); the device has " +
                              text::bytes_text(available) + ". Lower training.batch_size" +
                              (config.training.batch_size > 1 ? " (and raise training.accumulation_steps)" : "") +
                              ", data.context_length, attention.top_k or the model's sizes" +
                              (more_recompute ? ", or set training.recompute = \"full\"" : ""));
}

}  // namespace lighthouse::train
