// What selection keeps on a text: the level at which each token stays, by layer and key/value head.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "lighthouse/attention.h"
#include "model/decoder.h"

namespace lighthouse::analysis {

/// One key/value head's tree, seen from the tokens.
struct HeadSelection {
  /// [N]: the finest level with a retained entry that holds the token. Level 0 is full detail.
  std::vector<uint8_t> finest_level;
  std::vector<int64_t> entries;  ///< [L]: retained entries of each level.
  int64_t writes = 0;            ///< Entries that are added to the output.
};

struct LayerSelection {
  int64_t layer = 0;
  std::vector<HeadSelection> heads;  ///< One per key/value head.
};

struct SelectionMap {
  Geometry geometry;
  SelectionOptions options;
  std::vector<LayerSelection> layers;
};

/// The tree of one batch element: [K] heads.
std::vector<HeadSelection> head_selections(const Tree& tree, int64_t batch = 0);

/// Layers that attend by Lighthouse in a Lighthouse stage: those not in full_attention_layers.
std::vector<int64_t> lighthouse_layers(const model::ModelConfig& config);

/// Runs the decoder on tokens int64 [N], all of its Lighthouse layers under `options`, and keeps what each of `layers`
/// selects. Throws std::invalid_argument for a layer that the model lacks or that is always dense, and for N below one
/// coarsest window.
SelectionMap map_selection(model::Decoder& decoder, const torch::Tensor& tokens, const AttentionOptions& options,
                           const std::vector<int64_t>& layers);

/// [L]: the share of tokens whose finest level it is. A function of the geometry: every head of a map has the same.
std::vector<double> level_shares(const HeadSelection& head, int64_t num_levels);

/// The longest runs of tokens at level 0, in order.
std::vector<TokenRange> detail_spans(const HeadSelection& head);

/// [N]: the mean over heads of (L - 1 - finest level) / (L - 1): 1 at full detail, 0 where only the coarsest window is
/// left. All 1 for L = 1.
std::vector<double> fineness(const HeadSelection& head, int64_t num_levels);

/// [N]: tokens that every head keeps at level 0 whatever its scores: the tail, and window 0 of level 1 under the prefix
/// rule (all of them for L = 1).
std::vector<bool> always_kept(const Geometry& geometry, const SelectionOptions& options);

/// Neighbouring tokens that many heads keep at level 0.
struct SharedSpan {
  TokenRange tokens;
  int64_t fewest_heads = 0;  ///< That keep one of its tokens,
  int64_t most_heads = 0;    ///< and that keep the one that most heads keep.
};

/// [N]: heads of these layers that keep the token at level 0.
std::vector<int64_t> heads_at_detail(const std::vector<LayerSelection>& layers, int64_t num_tokens);

/// The `count` spans that most heads keep, the longest first among equals. A span is a run of tokens that as many heads
/// keep, widened to neighbours that more than half as many keep. What is always kept is left out.
std::vector<SharedSpan> most_shared_spans(const std::vector<int64_t>& heads, const std::vector<bool>& always,
                                          size_t count);

}  // namespace lighthouse::analysis
