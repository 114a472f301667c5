#include "tensors.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <cstring>
#include <sstream>

namespace lighthouse::test {

SelectionOptions selection_options(const Case& c) {
  SelectionOptions result;
  static_cast<PyramidOptions&>(result) = c.pyramid_options();
  result.cover_prefix = c.options.cover_prefix;
  result.causal_selection = c.options.causal_selection;
  return result;
}

// ---- Data ----

at::Tensor random_tensor(Random& random, at::IntArrayRef sizes, at::ScalarType dtype) {
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(random.bits());
  return at::randn(sizes, generator, at::TensorOptions(at::kDouble)).to(dtype);
}

at::Tensor grid_tensor(Random& random, at::IntArrayRef sizes, at::ScalarType dtype) {
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(random.bits());
  return at::randint(-4, 5, sizes, generator, at::TensorOptions(at::kDouble)).div(4).to(dtype);
}

at::Tensor score_tensor(Random& random, const Case& c) {
  at::Tensor scores = at::empty({c.batch, c.key_heads, c.num_tokens}, at::kFloat);
  float* next = scores.mutable_data_ptr<float>();
  for (int64_t row = 0; row < c.batch * c.key_heads; ++row) {
    for (const float score : random_scores(random, c.num_tokens)) *next++ = score;
  }
  return scores;
}

Inputs random_inputs(Random& random, const Case& c, at::ScalarType dtype) {
  const std::vector<int64_t> shared = {c.batch, c.key_heads, c.num_tokens, c.head_dim};
  return {random_tensor(random, {c.batch, c.heads, c.num_tokens, c.head_dim}, dtype),
          random_tensor(random, shared, dtype), random_tensor(random, shared, dtype)};
}

at::Tensor with_layout(const at::Tensor& x, int64_t layout) {
  switch (layout) {
    case 1: return x.transpose(1, 2).contiguous().transpose(1, 2);
    case 2: {
      at::Tensor larger = at::full({x.size(0) + 1, x.size(1) + 2, x.size(2) + 3, x.size(3) + 3}, NAN, x.options());
      at::Tensor slice =
          larger.narrow(0, 1, x.size(0)).narrow(1, 1, x.size(1)).narrow(2, 2, x.size(2)).narrow(3, 1, x.size(3));
      return slice.copy_(x);
    }
    case 3: {
      at::Tensor larger = at::full({x.size(0), x.size(1), x.size(2), x.size(3) * 2}, NAN, x.options());
      return larger.slice(3, 0, std::nullopt, 2).copy_(x);
    }
    case 4: return x.permute({3, 0, 2, 1}).contiguous().permute({1, 3, 2, 0});
    default: return x.contiguous();
  }
}

void poison(std::initializer_list<at::IntArrayRef> sizes, at::ScalarType dtype) {
  std::vector<at::Tensor> tensors;
  for (const at::IntArrayRef size : sizes) {
    for (int copy = 0; copy < 3; ++copy) tensors.push_back(at::full(size, NAN, dtype));
  }
}

// ---- Comparison ----

::testing::AssertionResult bit_equal(const at::Tensor& left, const at::Tensor& right) {
  if (left.scalar_type() != right.scalar_type() || left.sizes() != right.sizes()) {
    return ::testing::AssertionFailure() << left.toString() << left.sizes() << " against " << right.toString()
                                         << right.sizes();
  }
  const at::Tensor a = left.detach().contiguous();
  const at::Tensor b = right.detach().contiguous();
  const auto* a_bytes = static_cast<const char*>(a.const_data_ptr());
  const auto* b_bytes = static_cast<const char*>(b.const_data_ptr());
  const auto item = static_cast<size_t>(a.element_size());
  if (a.numel() == 0 || std::memcmp(a_bytes, b_bytes, static_cast<size_t>(a.numel()) * item) == 0) {
    return ::testing::AssertionSuccess();
  }
  for (int64_t index = 0; index < a.numel(); ++index) {
    const size_t at = static_cast<size_t>(index) * item;
    if (std::memcmp(a_bytes + at, b_bytes + at, item) != 0) {
      return ::testing::AssertionFailure() << "at element " << index << " of " << a.sizes() << ": "
                                           << a.view({-1})[index].item() << " against " << b.view({-1})[index].item();
    }
  }
  return ::testing::AssertionSuccess();
}

::testing::AssertionResult within(const at::Tensor& actual, const at::Tensor& expected, const at::Tensor& bound) {
  if (actual.sizes() != expected.sizes()) {
    return ::testing::AssertionFailure() << actual.sizes() << " against " << expected.sizes();
  }
  if (actual.numel() == 0) return ::testing::AssertionSuccess();
  const at::Tensor got = actual.detach().to(at::kDouble).contiguous();
  const at::Tensor want = expected.detach().to(at::kDouble).contiguous();
  const at::Tensor limit = bound.detach().to(at::kDouble).expand_as(want).contiguous();
  // Negated, so that a NaN counts as an error.
  const at::Tensor bad = (got - want).abs().le(limit).logical_not().view({-1});
  const int64_t count = bad.sum().item<int64_t>();
  if (count == 0) return ::testing::AssertionSuccess();
  const int64_t first = bad.to(at::kInt).argmax().item<int64_t>();
  return ::testing::AssertionFailure() << count << " of " << bad.numel() << " elements of " << actual.sizes()
                                       << "; first " << first << ": " << got.view({-1})[first].item<double>()
                                       << ", expected " << want.view({-1})[first].item<double>() << " +- "
                                       << limit.view({-1})[first].item<double>();
}

double roundoff(at::ScalarType dtype) {
  switch (dtype) {
    case at::kBFloat16: return std::ldexp(1.0, -8);
    case at::kFloat: return std::ldexp(1.0, -24);
    default: return std::ldexp(1.0, -53);
  }
}

// ---- The reference ----

reference::Array to_array(const at::Tensor& x) {
  reference::Array array(x.size(0), x.size(1), x.size(2), x.size(3));
  const at::Tensor values = x.detach().to(at::kDouble).contiguous();
  const double* data = values.const_data_ptr<double>();
  array.values.assign(data, data + values.numel());
  return array;
}

at::Tensor to_tensor(const reference::Array& x) {
  at::Tensor tensor = at::empty({x.batch, x.heads, x.rows, x.head_dim}, at::kDouble);
  std::copy(x.values.begin(), x.values.end(), tensor.mutable_data_ptr<double>());
  return tensor;
}

at::Tensor to_tensor(const std::vector<reference::Matrix>& matrices, const Case& c, int64_t heads) {
  const int64_t rows = matrices.empty() ? 0 : matrices[0].rows;
  const int64_t columns = matrices.empty() ? 0 : matrices[0].columns;
  at::Tensor tensor = at::empty({c.batch, c.key_heads, rows, columns}, at::kDouble);
  double* next = tensor.mutable_data_ptr<double>();
  for (const auto& matrix : matrices) next = std::copy(matrix.values.begin(), matrix.values.end(), next);
  return tensor.repeat_interleave(heads / c.key_heads, 1);
}

std::vector<reference::Selection> reference_selections(const Case& c, const at::Tensor& query_scores,
                                                       const at::Tensor& key_scores) {
  const reference::Pyramid pyramid = c.pyramid();
  const at::Tensor query = query_scores.to(at::kFloat).contiguous();
  const at::Tensor key = key_scores.to(at::kFloat).contiguous();
  std::vector<reference::Selection> selections;
  for (int64_t row = 0; row < c.batch * c.key_heads; ++row) {
    const float* q = query.const_data_ptr<float>() + row * c.num_tokens;
    const float* k = key.const_data_ptr<float>() + row * c.num_tokens;
    selections.push_back(reference::select(pyramid, {q, q + c.num_tokens}, {k, k + c.num_tokens}));
  }
  return selections;
}

at::Tensor reference_entries(const Case& c, const std::vector<reference::Selection>& selections) {
  const reference::Pyramid pyramid = c.pyramid();
  std::vector<int32_t> flat;
  for (const auto& selection : selections) {
    for (const reference::Window window : selection.order)
      flat.push_back(static_cast<int32_t>(pyramid.flat_index(window)));
  }
  const int64_t length =
      selections.empty() ? c.geometry().retained_length() : static_cast<int64_t>(selections[0].order.size());
  return at::tensor(flat, at::kInt).view({c.batch, c.key_heads, length});
}

at::Tensor reference_writes(const Case& c, const std::vector<reference::Selection>& selections) {
  std::vector<int32_t> flags;
  for (const auto& selection : selections) {
    for (const bool write : selection.writes) flags.push_back(write ? 1 : 0);
  }
  const int64_t length =
      selections.empty() ? c.geometry().retained_length() : static_cast<int64_t>(selections[0].order.size());
  return at::tensor(flags, at::kInt).to(at::kBool).view({c.batch, c.key_heads, length});
}

Trees random_trees(Random& random, const Case& c) {
  const Scores scores = {score_tensor(random, c), score_tensor(random, c)};
  const at::Tensor query = at::zeros({c.batch, c.heads, c.num_tokens, c.head_dim}, at::kFloat);
  const at::Tensor key = at::zeros({c.batch, c.key_heads, c.num_tokens, c.head_dim}, at::kFloat);
  return {scores, select(query, key, selection_options(c), scores), reference_selections(c, scores.query, scores.key)};
}

}  // namespace lighthouse::test
