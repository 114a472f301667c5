// Lighthouse attention, the slow and obvious way: the reference that the tests hold the library against.
//
// Written from docs/ALGORITHM.md alone (its section numbers are cited), in fp64, with plain loops and std::vector.
// Nothing is shared with the library: windows, tiles and candidates are enumerated instead of computed in closed form,
// and the order comes from the sort key of section 7 instead of a walk over a tree. Speed does not matter here.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace lighthouse::reference {

struct Options {
  int64_t num_levels = 3;
  int64_t pooling_factor = 4;
  std::optional<int64_t> top_k = std::nullopt;
  std::optional<int64_t> num_tiles = std::nullopt;
  bool cover_prefix = true;
  bool causal_selection = false;
};

/// Entry (l, i) of section 1.
struct Window {
  int64_t level = 0;
  int64_t index = 0;
  friend auto operator<=>(const Window&, const Window&) = default;
};

/// Sections 1 and 4: the windows and tiles over N tokens.
struct Pyramid {
  Pyramid(int64_t num_tokens, const Options& options);

  Options options;
  int64_t num_tokens = 0;                  // N
  int64_t num_coarsest = 0;                // M
  int64_t num_tiles = 1;                   // n
  int64_t top_k = 0;                       // k
  int64_t budget = 0;                      // b = k / n
  std::vector<Window> windows;             // every entry, in the order of the flat index
  std::vector<int64_t> tail_tokens;        // the T tokens under no coarsest window
  std::vector<std::vector<Window>> tiles;  // the coarsest windows of each tile

  int64_t coarsest_level() const { return options.num_levels - 1; }
  /// p^level. Asked only for levels that have windows.
  int64_t length(int64_t level) const;
  int64_t flat_index(Window window) const;
  std::vector<int64_t> tokens(Window window) const;
  std::vector<Window> children(Window window) const;
  /// Section 6: the tokens that the entry's output is added to.
  std::vector<int64_t> write_tokens(Window window) const;

 private:
  std::map<Window, int64_t> flat_;
};

/// What sections 4 and 5 make of one (batch, key/value head).
struct Selection {
  std::vector<Window> order;        // the retained entries, in gathered order
  std::vector<bool> writes;         // beside `order`: whether the entry's output is used (4b)
  std::map<Window, bool> expanded;  // expanded entries; true: for the query score
};

/// Section 3, per token: the largest norm over the heads, as fp32. vectors: [heads][N][D].
std::vector<float> norm_scores(const std::vector<std::vector<std::vector<double>>>& vectors, int64_t num_tokens);
/// Section 3, per window: the largest of its tokens' scores that is not NaN.
float window_score(const Pyramid& pyramid, const std::vector<float>& token_scores, Window window);
/// The order of section 4: larger score first, NaN last, ties by the lower index.
bool ranks_before(std::pair<float, int64_t> left, std::pair<float, int64_t> right);
/// Section 7: i p^l for an unexpanded entry, (i + 1) p^l - 2^-l for an expanded one, as (integer part, l) where the
/// fraction is 1 - 2^-l. Exact at any size.
std::pair<int64_t, int64_t> sort_key(const Pyramid& pyramid, Window window, bool expanded);

/// Sections 4, 4b and 5, from per-token scores.
Selection select(const Pyramid& pyramid, const std::vector<float>& query_scores, const std::vector<float>& key_scores);

/// A dense matrix, row-major.
struct Matrix {
  int64_t rows = 0;
  int64_t columns = 0;
  std::vector<double> values;
  double& at(int64_t row, int64_t column) { return values[static_cast<size_t>(row * columns + column)]; }
  double at(int64_t row, int64_t column) const { return values[static_cast<size_t>(row * columns + column)]; }
};

/// Section 6 as matrices; the adjoints are their transposes. Gathering is [S, N], scattering [N, S].
Matrix gather_matrix(const Pyramid& pyramid, const Selection& selection);
Matrix scatter_matrix(const Pyramid& pyramid, const Selection& selection);

/// [batch, heads, rows, head_dim].
struct Array {
  Array(int64_t batch, int64_t heads, int64_t rows, int64_t head_dim);
  int64_t batch = 0;
  int64_t heads = 0;
  int64_t rows = 0;
  int64_t head_dim = 0;
  std::vector<double> values;
  double& at(int64_t b, int64_t h, int64_t r, int64_t d);
  double at(int64_t b, int64_t h, int64_t r, int64_t d) const;
};

/// matrices: B x K of them, batch-major. Head h of x uses that of key/value head h / (heads / K).
Array multiply(const std::vector<Matrix>& matrices, const Array& x);
Array multiply_transposed(const std::vector<Matrix>& matrices, const Array& x);
std::vector<Matrix> gather_matrices(const Pyramid& pyramid, const std::vector<Selection>& selections);
std::vector<Matrix> scatter_matrices(const Pyramid& pyramid, const std::vector<Selection>& selections);

/// softmax(q k^T scale, lower triangle) v; query head h reads key/value head h / (H / K).
Array dense_attention(const Array& query, const Array& key, const Array& value, double scale);
/// Section 6, given the trees.
Array attention(const Pyramid& pyramid, const std::vector<Selection>& selections, const Array& query, const Array& key,
                const Array& value, double scale);

}  // namespace lighthouse::reference
