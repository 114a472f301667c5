#include "reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace lighthouse::reference {

// ---- 1 Symbols ----

namespace {

/// M: how many windows of F = p^(L-1) tokens fit. F is not formed beyond N, so it cannot overflow.
int64_t count_coarsest(int64_t num_tokens, const Options& options) {
  int64_t length = 1;
  for (int64_t level = 1; level < options.num_levels; ++level) {
    length *= options.pooling_factor;
    if (length > num_tokens) return 0;
  }
  int64_t count = 0;
  while ((count + 1) * length <= num_tokens) ++count;
  return count;
}

/// Section 4: k = 2 n max(1, floor(N / (128 n))), n as given or max(1, floor(N / 8192)). Counted up, not divided.
int64_t default_top_k(int64_t num_tokens, std::optional<int64_t> given_tiles) {
  int64_t tiles = 1;
  while (8192 * (tiles + 1) <= num_tokens) ++tiles;
  tiles = given_tiles.value_or(tiles);
  int64_t pairs = 1;
  while (128 * tiles * (pairs + 1) <= num_tokens) ++pairs;
  return 2 * tiles * pairs;
}

/// Section 4: the largest n <= max(1, k / 128) that divides k / 2 and does not exceed M (M = 0: 1).
int64_t default_tiles(int64_t num_coarsest, int64_t top_k) {
  for (int64_t tiles = std::max<int64_t>(1, top_k / 128); tiles > 1; --tiles) {
    if ((top_k / 2) % tiles == 0 && tiles <= num_coarsest) return tiles;
  }
  return 1;
}

}  // namespace

Pyramid::Pyramid(int64_t tokens_in, const Options& options_in)
    : options(options_in), num_tokens(tokens_in), num_coarsest(count_coarsest(tokens_in, options_in)) {
  // L = 1 is dense: tiles and budget decide nothing.
  if (options.num_levels > 1) {
    top_k = options.top_k ? *options.top_k : default_top_k(num_tokens, options.num_tiles);
    num_tiles = options.num_tiles.value_or(default_tiles(num_coarsest, top_k));
    budget = top_k / num_tiles;
  }

  for (int64_t level = 0; level < options.num_levels; ++level) {
    if (level > 0 && num_coarsest == 0) break;
    const int64_t covered = level == 0 ? num_tokens : num_coarsest * length(coarsest_level());
    for (int64_t index = 0; (index + 1) * length(level) <= covered; ++index) windows.push_back({level, index});
  }
  for (size_t flat = 0; flat < windows.size(); ++flat) flat_[windows[flat]] = static_cast<int64_t>(flat);

  for (int64_t token = 0; token < num_tokens; ++token) {
    if (num_coarsest == 0 || token >= num_coarsest * length(coarsest_level())) tail_tokens.push_back(token);
  }

  for (int64_t tile = 0; tile < num_tiles; ++tile) {
    tiles.emplace_back();
    for (int64_t index = 0; index < num_coarsest; ++index) {
      const bool from_begin = index >= tile * num_coarsest / num_tiles;
      const bool to_end = index < (tile + 1) * num_coarsest / num_tiles;
      if (from_begin && to_end) tiles.back().push_back({coarsest_level(), index});
    }
  }
}

int64_t Pyramid::length(int64_t level) const {
  int64_t result = 1;
  for (int64_t step = 0; step < level; ++step) result *= options.pooling_factor;
  return result;
}

int64_t Pyramid::flat_index(Window window) const { return flat_.at(window); }

std::vector<int64_t> Pyramid::tokens(Window window) const {
  const int64_t size = length(window.level);
  std::vector<int64_t> result;
  for (int64_t token = window.index * size; token < (window.index + 1) * size; ++token) result.push_back(token);
  return result;
}

std::vector<Window> Pyramid::children(Window window) const {
  std::vector<Window> result;
  for (int64_t child = 0; child < options.pooling_factor; ++child) {
    result.push_back({window.level - 1, window.index * options.pooling_factor + child});
  }
  return result;
}

// i p^l + p^l - 1 <= j <= i p^l + 2 p^l - 2, and j is a token.
std::vector<int64_t> Pyramid::write_tokens(Window window) const {
  const int64_t size = length(window.level);
  const int64_t start = window.index * size;
  std::vector<int64_t> result;
  for (int64_t token = start + size - 1; token <= start + 2 * size - 2; ++token) {
    if (token < num_tokens) result.push_back(token);
  }
  return result;
}

// ---- 3 Score ----

namespace {

float max_ignoring_nan(float left, float right) {
  if (std::isnan(left)) return right;
  if (std::isnan(right)) return left;
  return left > right ? left : right;
}

}  // namespace

std::vector<float> norm_scores(const std::vector<std::vector<std::vector<double>>>& vectors, int64_t num_tokens) {
  std::vector<float> scores(static_cast<size_t>(num_tokens), std::numeric_limits<float>::quiet_NaN());
  for (const auto& head : vectors) {
    for (size_t token = 0; token < scores.size(); ++token) {
      double square = 0;
      for (const double x : head[token]) square += x * x;
      scores[token] = max_ignoring_nan(scores[token], static_cast<float>(std::sqrt(square)));
    }
  }
  return scores;
}

float window_score(const Pyramid& pyramid, const std::vector<float>& token_scores, Window window) {
  float score = std::numeric_limits<float>::quiet_NaN();
  for (const int64_t token : pyramid.tokens(window)) {
    score = max_ignoring_nan(score, token_scores[static_cast<size_t>(token)]);
  }
  return score;
}

// ---- 4 Select, 4b Causal selection ----

bool ranks_before(std::pair<float, int64_t> left, std::pair<float, int64_t> right) {
  if (std::isnan(left.first) != std::isnan(right.first)) return std::isnan(right.first);
  // Neither branch is taken where both are NaN, or +0 meets -0: those are ties.
  if (left.first > right.first) return true;
  if (left.first < right.first) return false;
  return left.second < right.second;
}

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// What a candidate competes with for its queries: its own score (4), or that of the window before it (4b).
float query_rank(const Pyramid& pyramid, const std::vector<float>& scores, Window window) {
  if (pyramid.options.causal_selection) {
    return window.index == 0 ? kInfinity : window_score(pyramid, scores, {window.level, window.index - 1});
  }
  if (pyramid.options.cover_prefix && window.index == 0) return kInfinity;
  return window_score(pyramid, scores, window);
}

/// The best of `candidates` by (score, index), taken out of them.
Window take_best(std::vector<std::pair<float, Window>>& candidates) {
  size_t best = 0;
  for (size_t i = 1; i < candidates.size(); ++i) {
    const auto& [score, window] = candidates[i];
    if (ranks_before({score, window.index}, {candidates[best].first, candidates[best].second.index})) best = i;
  }
  const Window window = candidates[best].second;
  candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(best));
  return window;
}

}  // namespace

Selection select(const Pyramid& pyramid, const std::vector<float>& query_scores, const std::vector<float>& key_scores) {
  const bool causal = pyramid.options.causal_selection;
  Selection selection;
  std::map<Window, bool> writes;  // the retained entries

  for (const auto& tile : pyramid.tiles) {
    std::vector<Window> candidates = tile;
    for (const Window window : candidates) writes[window] = true;

    for (int64_t level = pyramid.coarsest_level(); level >= 1; --level) {
      std::map<Window, bool> expanded;  // at this level, in this tile
      if (static_cast<int64_t>(candidates.size()) <= pyramid.budget) {
        for (const Window window : candidates) expanded[window] = true;
      } else {
        std::vector<std::pair<float, Window>> by_query;
        for (const Window window : candidates) {
          // 4b: only entries that write compete for their queries.
          if (!causal || writes.at(window)) by_query.emplace_back(query_rank(pyramid, query_scores, window), window);
        }
        if (static_cast<int64_t>(by_query.size()) < pyramid.budget / 2) {
          throw std::logic_error("section 4b: there are always enough candidates that write");
        }
        for (int64_t pick = 0; pick < pyramid.budget / 2; ++pick) expanded[take_best(by_query)] = true;

        std::vector<std::pair<float, Window>> by_key;
        for (const Window window : candidates) {
          if (!expanded.contains(window)) by_key.emplace_back(window_score(pyramid, key_scores, window), window);
        }
        for (int64_t pick = 0; pick < pyramid.budget / 2; ++pick) expanded[take_best(by_key)] = false;
      }

      candidates.clear();
      for (const auto& [window, for_query] : expanded) {
        for (const Window child : pyramid.children(window)) {
          candidates.push_back(child);
          writes[child] = !causal || (writes.at(window) && for_query);
        }
      }
      selection.expanded.merge(expanded);
    }
  }
  for (const int64_t token : pyramid.tail_tokens) writes[{0, token}] = true;

  // ---- 5 Order ----
  for (const auto& [window, write] : writes) selection.order.push_back(window);
  std::sort(selection.order.begin(), selection.order.end(), [&](Window left, Window right) {
    const auto key = [&](Window window) { return sort_key(pyramid, window, selection.expanded.contains(window)); };
    return key(left) < key(right);
  });
  for (const Window window : selection.order) selection.writes.push_back(writes.at(window));
  return selection;
}

std::pair<int64_t, int64_t> sort_key(const Pyramid& pyramid, Window window, bool expanded) {
  const int64_t size = pyramid.length(window.level);
  // (i + 1) p^l - 2^-l = ((i + 1) p^l - 1) + (1 - 2^-l), and 1 - 2^-l grows with l from 0 at l = 0.
  return expanded ? std::pair{(window.index + 1) * size - 1, window.level} : std::pair{window.index * size, int64_t{0}};
}

// ---- 6 Gather, attend, scatter ----

Matrix gather_matrix(const Pyramid& pyramid, const Selection& selection) {
  const auto length = static_cast<int64_t>(selection.order.size());
  Matrix matrix{length, pyramid.num_tokens, std::vector<double>(static_cast<size_t>(length * pyramid.num_tokens))};
  for (int64_t row = 0; row < length; ++row) {
    const Window window = selection.order[static_cast<size_t>(row)];
    const double weight = 1.0 / static_cast<double>(pyramid.length(window.level));
    for (const int64_t token : pyramid.tokens(window)) matrix.at(row, token) = weight;
  }
  return matrix;
}

Matrix scatter_matrix(const Pyramid& pyramid, const Selection& selection) {
  const auto length = static_cast<int64_t>(selection.order.size());
  Matrix matrix{pyramid.num_tokens, length, std::vector<double>(static_cast<size_t>(length * pyramid.num_tokens))};
  for (int64_t row = 0; row < length; ++row) {
    if (!selection.writes[static_cast<size_t>(row)]) continue;
    const Window window = selection.order[static_cast<size_t>(row)];
    for (const int64_t token : pyramid.write_tokens(window)) matrix.at(token, row) = 1.0;
  }
  return matrix;
}

std::vector<Matrix> gather_matrices(const Pyramid& pyramid, const std::vector<Selection>& selections) {
  std::vector<Matrix> matrices;
  for (const Selection& selection : selections) matrices.push_back(gather_matrix(pyramid, selection));
  return matrices;
}

std::vector<Matrix> scatter_matrices(const Pyramid& pyramid, const std::vector<Selection>& selections) {
  std::vector<Matrix> matrices;
  for (const Selection& selection : selections) matrices.push_back(scatter_matrix(pyramid, selection));
  return matrices;
}

Array::Array(int64_t batch_in, int64_t heads_in, int64_t rows_in, int64_t head_dim_in)
    : batch(batch_in),
      heads(heads_in),
      rows(rows_in),
      head_dim(head_dim_in),
      values(static_cast<size_t>(batch_in * heads_in * rows_in * head_dim_in)) {}

double& Array::at(int64_t b, int64_t h, int64_t r, int64_t d) {
  return values[static_cast<size_t>(((b * heads + h) * rows + r) * head_dim + d)];
}

double Array::at(int64_t b, int64_t h, int64_t r, int64_t d) const {
  return values[static_cast<size_t>(((b * heads + h) * rows + r) * head_dim + d)];
}

namespace {

Array product(const std::vector<Matrix>& matrices, const Array& x, bool transposed) {
  if (x.batch == 0) return x;
  const int64_t key_heads = static_cast<int64_t>(matrices.size()) / x.batch;
  const int64_t group = x.heads / key_heads;
  Array y(x.batch, x.heads, transposed ? matrices[0].columns : matrices[0].rows, x.head_dim);
  for (int64_t b = 0; b < x.batch; ++b) {
    for (int64_t h = 0; h < x.heads; ++h) {
      const Matrix& matrix = matrices[static_cast<size_t>(b * key_heads + h / group)];
      for (int64_t row = 0; row < matrix.rows; ++row) {
        for (int64_t column = 0; column < matrix.columns; ++column) {
          const double weight = matrix.at(row, column);
          if (weight == 0) continue;
          for (int64_t d = 0; d < x.head_dim; ++d) {
            if (transposed) {
              y.at(b, h, column, d) += weight * x.at(b, h, row, d);
            } else {
              y.at(b, h, row, d) += weight * x.at(b, h, column, d);
            }
          }
        }
      }
    }
  }
  return y;
}

}  // namespace

Array multiply(const std::vector<Matrix>& matrices, const Array& x) { return product(matrices, x, false); }
Array multiply_transposed(const std::vector<Matrix>& matrices, const Array& x) { return product(matrices, x, true); }

Array dense_attention(const Array& query, const Array& key, const Array& value, double scale) {
  Array output(query.batch, query.heads, query.rows, value.head_dim);
  if (query.heads == 0 || key.heads == 0) return output;
  const int64_t group = query.heads / key.heads;
  for (int64_t b = 0; b < query.batch; ++b) {
    for (int64_t h = 0; h < query.heads; ++h) {
      for (int64_t row = 0; row < query.rows; ++row) {
        std::vector<double> logits;
        for (int64_t column = 0; column <= row; ++column) {
          double logit = 0;
          for (int64_t d = 0; d < query.head_dim; ++d) {
            logit += query.at(b, h, row, d) * key.at(b, h / group, column, d);
          }
          logits.push_back(logit * scale);
        }
        const double largest = *std::max_element(logits.begin(), logits.end());
        double sum = 0;
        for (const double logit : logits) sum += std::exp(logit - largest);
        for (int64_t column = 0; column <= row; ++column) {
          const double weight = std::exp(logits[static_cast<size_t>(column)] - largest) / sum;
          for (int64_t d = 0; d < value.head_dim; ++d) {
            output.at(b, h, row, d) += weight * value.at(b, h / group, column, d);
          }
        }
      }
    }
  }
  return output;
}

Array attention(const Pyramid& pyramid, const std::vector<Selection>& selections, const Array& query, const Array& key,
                const Array& value, double scale) {
  const auto pool = gather_matrices(pyramid, selections);
  const Array output = dense_attention(multiply(pool, query), multiply(pool, key), multiply(pool, value), scale);
  return multiply(scatter_matrices(pyramid, selections), output);
}

}  // namespace lighthouse::reference
