// Tensors for the property tests: random data, awkward layouts, poisoned memory, and the way to the reference and back.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "../reference/reference.h"
#include "cases.h"
#include "lighthouse/attention.h"

namespace lighthouse::test {

SelectionOptions selection_options(const Case& c);

/// Gaussian.
at::Tensor random_tensor(Random& random, at::IntArrayRef sizes, at::ScalarType dtype);
/// Multiples of 1/4 from -1 to 1: squares, sums of them and norms have one value in any order and any precision, and
/// ties are everywhere.
at::Tensor grid_tensor(Random& random, at::IntArrayRef sizes, at::ScalarType dtype);
/// Scores [B, K, N], float32.
at::Tensor score_tensor(Random& random, const Case& c);

/// query [B, H, N, D], key and value [B, K, N, D].
struct Inputs {
  at::Tensor query;
  at::Tensor key;
  at::Tensor value;
};
Inputs random_inputs(Random& random, const Case& c, at::ScalarType dtype);

/// The same values in another layout: 0 contiguous, 1 [B, N, H, D] memory, 2 a misaligned slice of something larger,
/// 3 last dimension with stride 2, 4 D outermost.
constexpr int64_t kLayouts = 5;
at::Tensor with_layout(const at::Tensor& x, int64_t layout);

/// Frees tensors full of NaN of these sizes, so that the next allocations of them hold NaN.
void poison(std::initializer_list<at::IntArrayRef> sizes, at::ScalarType dtype);

/// Equal to the bit, NaN and the sign of zero included; dtype and sizes too.
::testing::AssertionResult bit_equal(const at::Tensor& left, const at::Tensor& right);
/// |actual - expected| <= bound everywhere, all finite; bound broadcasts.
::testing::AssertionResult within(const at::Tensor& actual, const at::Tensor& expected, const at::Tensor& bound);

/// Unit roundoff of a dtype, 2^-precision.
double roundoff(at::ScalarType dtype);

reference::Array to_array(const at::Tensor& x);
at::Tensor to_tensor(const reference::Array& x);
/// B x K matrices as [B, heads, rows, columns], float64; each key/value head's is repeated for its group.
at::Tensor to_tensor(const std::vector<reference::Matrix>& matrices, const Case& c, int64_t heads);

/// One per (batch, key/value head), from scores [B, K, N].
std::vector<reference::Selection> reference_selections(const Case& c, const at::Tensor& query_scores,
                                                       const at::Tensor& key_scores);
/// int32 [B, K, S] and bool [B, K, S].
at::Tensor reference_entries(const Case& c, const std::vector<reference::Selection>& selections);
at::Tensor reference_writes(const Case& c, const std::vector<reference::Selection>& selections);

/// A case's trees, ours and the reference's, from the same random scores.
struct Trees {
  Scores scores;
  Tree tree;
  std::vector<reference::Selection> selections;
};
Trees random_trees(Random& random, const Case& c);

}  // namespace lighthouse::test
