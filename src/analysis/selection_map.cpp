#include "analysis/selection_map.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace lighthouse::analysis {
namespace {

/// `entries` [S] are flat pyramid indices, `writes` [S] whether each is added to the output.
HeadSelection head_selection(const Geometry& geometry, const torch::Tensor& entries, const torch::Tensor& writes) {
  const auto num_levels = static_cast<size_t>(geometry.num_levels());
  HeadSelection head;
  // Every token has an entry at some level: this is overwritten throughout.
  head.finest_level.assign(static_cast<size_t>(geometry.num_tokens()), static_cast<uint8_t>(num_levels));
  head.entries.assign(num_levels, 0);
  head.writes = writes.sum().item<int64_t>();
  const auto flat = entries.accessor<int32_t, 1>();
  for (int64_t rank = 0; rank < flat.size(0); ++rank) {
    const Entry entry = geometry.entry_at(flat[rank]);
    const TokenRange window = geometry.window(entry);
    ++head.entries[static_cast<size_t>(entry.level)];
    for (int64_t token = window.begin; token < window.end; ++token) {
      auto& finest = head.finest_level[static_cast<size_t>(token)];
      finest = std::min(finest, static_cast<uint8_t>(entry.level));
    }
  }
  return head;
}

void check_layers(const model::ModelConfig& config, const std::vector<int64_t>& layers) {
  const auto usable = lighthouse_layers(config);
  if (usable.empty()) throw std::invalid_argument("no layer uses Lighthouse: full_attention_layers names them all");
  std::string names;
  for (const int64_t layer : usable) names += (names.empty() ? "" : ", ") + std::to_string(layer);
  for (const int64_t layer : layers) {
    const std::string got = "expected a layer that uses Lighthouse (" + names + "); got " + std::to_string(layer);
    if (layer < 0 || layer >= config.num_hidden_layers)
      throw std::invalid_argument(got + ", and the model has layers 0 to " +
                                  std::to_string(config.num_hidden_layers - 1));
    if (std::find(usable.begin(), usable.end(), layer) == usable.end())
      throw std::invalid_argument(got + ", which is always dense (full_attention_layers)");
  }
}

/// Runs of tokens that equally many heads keep, without what is always kept.
std::vector<SharedSpan> equal_runs(const std::vector<int64_t>& heads, const std::vector<bool>& always) {
  std::vector<SharedSpan> runs;
  for (size_t i = 0; i < heads.size(); ++i) {
    if (heads[i] == 0 || always[i]) continue;
    const auto token = static_cast<int64_t>(i);
    if (runs.empty() || runs.back().tokens.end != token || runs.back().most_heads != heads[i])
      runs.push_back({{token, token}, heads[i], heads[i]});
    ++runs.back().tokens.end;
  }
  return runs;
}

void sort_spans(std::vector<SharedSpan>& spans) {
  const auto length = [](const SharedSpan& span) { return span.tokens.end - span.tokens.begin; };
  std::stable_sort(spans.begin(), spans.end(), [&](const SharedSpan& a, const SharedSpan& b) {
    return a.most_heads != b.most_heads ? a.most_heads > b.most_heads : length(a) > length(b);
  });
}

/// Ends the observation also where forward throws.
struct ObserverGuard {
  model::Decoder& decoder;
  ~ObserverGuard() { decoder->set_attention_observer({}); }
};

}  // namespace

std::vector<HeadSelection> head_selections(const Tree& tree, int64_t batch) {
  const torch::Tensor entries = tree.entries()[batch];  // [K, S]
  const torch::Tensor writes = tree.writes()[batch];
  std::vector<HeadSelection> heads;
  for (int64_t head = 0; head < entries.size(0); ++head)
    heads.push_back(head_selection(tree.geometry, entries[head], writes[head]));
  return heads;
}

std::vector<int64_t> lighthouse_layers(const model::ModelConfig& config) {
  const auto& dense = config.full_attention_layers;
  std::vector<int64_t> layers;
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    if (std::find(dense.begin(), dense.end(), layer) == dense.end()) layers.push_back(layer);
  }
  return layers;
}

SelectionMap map_selection(model::Decoder& decoder, const torch::Tensor& tokens, const AttentionOptions& options,
                           const std::vector<int64_t>& layers) {
  check_layers(decoder->config(), layers);
  SelectionMap map{Geometry(tokens.size(0), options), options, {}};
  if (map.geometry.num_coarsest_windows() == 0)
    throw std::invalid_argument("expected at least one coarsest window, " +
                                std::to_string(map.geometry.coarsest_window_length()) + " tokens; got " +
                                std::to_string(tokens.size(0)));
  const torch::NoGradGuard no_grad;
  const ObserverGuard guard{decoder};
  decoder->set_attention(model::AttentionKind::kLighthouse, options);
  decoder->set_attention_observer([&](int64_t layer, const torch::Tensor& query, const torch::Tensor& key) {
    if (std::find(layers.begin(), layers.end(), layer) == layers.end()) return;
    map.layers.push_back({layer, head_selections(select(query, key, options, options.scores))});
  });
  decoder->forward(tokens.unsqueeze(0));
  return map;
}

std::vector<double> level_shares(const HeadSelection& head, int64_t num_levels) {
  std::vector<double> shares(static_cast<size_t>(num_levels), 0.0);
  for (const uint8_t level : head.finest_level) shares.at(level) += 1.0;
  for (double& share : shares) share /= static_cast<double>(head.finest_level.size());
  return shares;
}

std::vector<TokenRange> detail_spans(const HeadSelection& head) {
  std::vector<TokenRange> spans;
  for (size_t i = 0; i < head.finest_level.size(); ++i) {
    if (head.finest_level[i] != 0) continue;
    const auto token = static_cast<int64_t>(i);
    if (spans.empty() || spans.back().end != token) spans.push_back({token, token});
    ++spans.back().end;
  }
  return spans;
}

std::vector<double> fineness(const HeadSelection& head, int64_t num_levels) {
  std::vector<double> values;
  values.reserve(head.finest_level.size());
  const auto steps = static_cast<double>(num_levels - 1);
  for (const uint8_t level : head.finest_level)
    values.push_back(num_levels == 1 ? 1.0 : 1.0 - static_cast<double>(level) / steps);
  return values;
}

std::vector<bool> always_kept(const Geometry& geometry, const SelectionOptions& options) {
  std::vector<bool> always(static_cast<size_t>(geometry.num_tokens()), geometry.num_levels() == 1);
  const bool prefix = geometry.num_coarsest_windows() > 0 && (options.cover_prefix || options.causal_selection);
  if (prefix && geometry.num_levels() > 1) std::fill_n(always.begin(), geometry.pooling_factor(), true);
  std::fill(always.begin() + geometry.tail_begin(), always.end(), true);
  return always;
}

std::vector<int64_t> heads_at_detail(const std::vector<LayerSelection>& layers, int64_t num_tokens) {
  std::vector<int64_t> heads(static_cast<size_t>(num_tokens), 0);
  for (const auto& layer : layers) {
    for (const auto& head : layer.heads) {
      for (size_t i = 0; i < heads.size(); ++i) heads[i] += head.finest_level[i] == 0 ? 1 : 0;
    }
  }
  return heads;
}

std::vector<SharedSpan> most_shared_spans(const std::vector<int64_t>& heads, const std::vector<bool>& always,
                                          size_t count) {
  std::vector<SharedSpan> runs = equal_runs(heads, always);
  sort_spans(runs);
  std::vector<bool> taken = always;
  std::vector<SharedSpan> spans;
  for (SharedSpan span : runs) {
    if (taken[static_cast<size_t>(span.tokens.begin)]) continue;
    const auto joins = [&](int64_t token) {
      const auto i = static_cast<size_t>(token);
      if (taken[i] || 2 * heads[i] <= span.most_heads) return false;
      span.fewest_heads = std::min(span.fewest_heads, heads[i]);
      return true;
    };
    while (span.tokens.begin > 0 && joins(span.tokens.begin - 1)) --span.tokens.begin;
    while (span.tokens.end < static_cast<int64_t>(heads.size()) && joins(span.tokens.end)) ++span.tokens.end;
    std::fill(taken.begin() + span.tokens.begin, taken.begin() + span.tokens.end, true);
    spans.push_back(span);
  }
  sort_spans(spans);
  spans.resize(std::min(count, spans.size()));
  return spans;
}

}  // namespace lighthouse::analysis
