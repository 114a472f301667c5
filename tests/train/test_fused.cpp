// The fused parts of a training pass, each alone, on the processor: against formulas in float64, for any strides of
// what a caller's attention may return; and what does not fit, by name.
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <vector>

#include "lighthouse/rotary.h"
#include "ops/fused.h"
#include "temporary_folder.h"

namespace lighthouse::test {
namespace {

using torch::Tensor;

constexpr double kEpsilon = 1e-5;

Tensor in_type(const Tensor& x, torch::ScalarType type) { return x.to(type); }

/// The same values contiguous, one element past an aligned start, with rows last, and the first row again and again.
std::vector<Tensor> layouts_of(const Tensor& x) {
  Tensor odd = torch::empty({x.numel() + 1}, x.options()).slice(0, 1).view(x.sizes()).copy_(x);
  return {x, odd, x.t().contiguous().t(), x.slice(0, 0, 1).expand_as(x)};
}

/// Within one rounding to got's type of a result whose terms were as large as `scale`.
void expect_close(const Tensor& got, const Tensor& expected, const Tensor& scale, const char* what) {
  const double unit = got.scalar_type() == torch::kBFloat16 ? 0x1p-8
                      : got.scalar_type() == torch::kFloat  ? 0x1p-22
                                                            : 0x1p-50;
  const Tensor excess = (got.to(torch::kDouble) - expected).abs() - unit * (expected.abs() + 4 * scale.abs());
  EXPECT_LE(excess.max().item<double>(), 1e-12) << what << " " << got.scalar_type() << " " << got.sizes();
}

Tensor norm_of(const Tensor& x, const Tensor& gain) {
  return x * torch::rsqrt(x.square().mean(-1, /*keepdim=*/true) + kEpsilon) * gain;
}

TEST(Fused, RmsNorm) {
  torch::manual_seed(31);
  for (const auto type : {torch::kDouble, torch::kFloat, torch::kBFloat16}) {
    for (const auto& [rows, columns] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 5}, {7, 64}, {4, 513}}) {
      const auto make = [&, r = rows, c = columns] { return in_type(torch::randn({r, c}, torch::kDouble), type); };
      const Tensor x = make();
      const Tensor gain =
          in_type(torch::randn({columns}, torch::kDouble), type == torch::kDouble ? type : torch::kFloat);
      const Tensor wide_gain = gain.clone().to(torch::kDouble).requires_grad_();
      for (const Tensor& addend : layouts_of(make())) {
        const auto found = ops::rms_norm(x, addend, gain, kEpsilon);
        EXPECT_TRUE(torch::equal(found.sum, x + addend));
        const Tensor expected = norm_of(found.sum.to(torch::kDouble), wide_gain).detach();
        expect_close(found.normal, expected, expected, "norm");
      }
      const Tensor wide = x.clone().to(torch::kDouble).requires_grad_();
      const Tensor normal = norm_of(wide, wide_gain);
      for (const Tensor& grad : layouts_of(make())) {
        for (const Tensor& residual : layouts_of(make())) {
          const auto found = ops::rms_norm_backward(grad, x, gain, kEpsilon, residual, /*with_normal=*/true);
          const auto slopes = torch::autograd::grad({normal}, {wide, wide_gain}, {grad.to(torch::kDouble)}, true);
          const Tensor scale = torch::full_like(wide, 1 + slopes[0].abs().max().item<double>());
          expect_close(found.input, slopes[0] + residual, scale, "gradient");
          expect_close(found.gain, slopes[1], torch::full_like(slopes[1], static_cast<double>(rows) * 4), "gain");
          expect_close(found.normal, normal.detach(), normal.detach(), "normal again");
        }
      }
      EXPECT_FALSE(ops::rms_norm_backward(x, x, gain, kEpsilon, {}, /*with_normal=*/false).normal.defined());
    }
  }
}

TEST(Fused, Swiglu) {
  torch::manual_seed(32);
  for (const auto type : {torch::kDouble, torch::kFloat, torch::kBFloat16}) {
    for (const auto& [rows, columns] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 5}, {300, 64}}) {
      const Tensor gate_up = in_type(4 * torch::randn({rows, 2 * columns}, torch::kDouble), type);
      const Tensor wide = gate_up.clone().to(torch::kDouble).requires_grad_();
      const auto halves = wide.chunk(2, -1);
      const Tensor expected = torch::silu(halves[0]) * halves[1];
      expect_close(ops::swiglu(gate_up), expected.detach(), expected.detach(), "SwiGLU");
      for (const Tensor& grad : layouts_of(in_type(torch::randn({rows, columns}, torch::kDouble), type))) {
        const Tensor slope = torch::autograd::grad({expected}, {wide}, {grad.to(torch::kDouble)}, true)[0];
        const Tensor in_place = gate_up.clone();
        const auto found = ops::swiglu_backward(grad, in_place);
        EXPECT_EQ(found.gate_up.data_ptr(), in_place.data_ptr());
        const Tensor gate = halves[0].detach().abs();
        const Tensor terms = torch::cat({halves[1].detach() * (1 + gate), gate}, -1) * torch::cat({grad, grad}, -1);
        expect_close(found.gate_up, slope, terms / 16, "gradient");
        expect_close(found.output, expected.detach(), expected.detach(), "SwiGLU again");
      }
    }
  }
}

/// Queries and keys in a packed projection, rotated in place; gradients of any layout, rotated into one.
TEST(Fused, WritesIntoMemoryOfTheCallers) {
  torch::manual_seed(33);
  const int64_t n = 70;
  const int64_t dim = 6;
  SelectionOptions options;
  options.num_levels = 2;
  options.pooling_factor = 4;
  options.top_k = 4;
  options.num_tiles = 1;
  const Tensor cos = torch::rand({n, dim / 2});
  const Tensor sin = torch::rand({n, dim / 2});
  Tensor packed = torch::randn({2, n, 8, dim});
  const auto heads = [&](int64_t first, int64_t count) { return packed.narrow(2, first, count).transpose(1, 2); };
  const Tensor query = heads(0, 4).contiguous();
  const Tensor key = heads(4, 2).contiguous();
  const Tensor value = heads(6, 2).contiguous();
  const auto rotated = rotary_score(query, key, cos, sin, options);
  const WindowScores scores =
      ops::rotate_and_score_into(heads(0, 4), heads(4, 2), cos, sin, options, heads(0, 4), heads(4, 2));
  EXPECT_TRUE(torch::equal(heads(0, 4), rotated.query) && torch::equal(heads(4, 2), rotated.key));
  EXPECT_TRUE(torch::equal(scores.query, rotated.scores.query) && torch::equal(scores.key, rotated.scores.key));
  EXPECT_TRUE(torch::equal(heads(6, 2), value));
  ops::rotate_into(heads(0, 4), heads(4, 2), cos, -sin, /*inverse=*/true, heads(0, 4), heads(4, 2));
  EXPECT_TRUE(torch::equal(heads(0, 4), rotary(rotated.query, rotated.key, cos, sin).first));

  const Tree tree = select(query, key, options);
  const auto rows = [&](int64_t count) { return torch::randn({2, count, tree.geometry.retained_length(), dim}); };
  const Gathered grads{rows(4).slice(2, 0, 1).expand({2, 4, tree.geometry.retained_length(), dim}), rows(2), rows(2)};
  ops::gather_adjoint_into(grads, tree, heads(0, 4), heads(4, 2), heads(6, 2));
  const Tensor leaf = query.clone().requires_grad_();
  const Tensor out = gather(leaf, key, value, tree).query;
  EXPECT_TRUE(torch::equal(heads(0, 4), torch::autograd::grad({out}, {leaf}, {grads.query})[0]));
  ops::scatter_into(grads.query, tree, heads(0, 4));
  EXPECT_TRUE(torch::equal(heads(0, 4), scatter(grads.query, tree)));
}

TEST(Fused, RefusesWhatDoesNotFit) {
  const Tensor x = torch::randn({4, 8});
  const Tensor gain = torch::ones({8});
  expect_error([&] { ops::rms_norm(x, x.slice(1, 1), gain, kEpsilon); },
               {"rms_norm: addend must be [4, 8]; got [4, 7]"});
  expect_error([&] { ops::rms_norm(x, x.to(torch::kDouble), gain, kEpsilon); }, {"dtype Float; got Double"});
  expect_error([&] { ops::rms_norm(x, {}, gain.slice(0, 1), kEpsilon); }, {"the gain must be [8]; got [7]"});
  expect_error([&] { ops::rms_norm(x.t(), {}, gain.slice(0, 4), kEpsilon); }, {"must be contiguous rows", "[8, 4]"});
  expect_error([&] { ops::rms_norm(x.to(torch::kLong), {}, gain, kEpsilon); }, {"floating dtype; got Long"});
  expect_error([&] { ops::rms_norm_backward(x[0], x, gain, kEpsilon, {}, true); }, {"grad must be [4, 8]; got [8]"});
  expect_error([&] { ops::rms_norm_backward({}, x, gain, kEpsilon, {}, true); }, {"grad must be [4, 8]; got none"});
  expect_error([&] { ops::rms_norm_backward(x, x, gain, kEpsilon, x.to(torch::kBFloat16), true); },
               {"residual must be of dtype Float; got BFloat16"});
  expect_error(
      [&] {
        ops::rms_norm_backward(x, x, gain, kEpsilon, torch::empty({4, 8}, torch::device(torch::kMeta)), true);
      },
      {"must be on cpu; got meta"});
  expect_error([&] { ops::swiglu(x.slice(1, 1).contiguous()); }, {"gate_up must be [rows, 2 F]; got [4, 7]"});
  expect_error([&] { ops::swiglu_backward(x, x); }, {"swiglu_backward: grad must be [4, 4]; got [4, 8]"});
  const Tensor query = x.view({1, 1, 4, 8});
  const Tensor angles = torch::ones({4, 4});
  const auto rotate = [&](const Tensor& to) {
    return [=] { ops::rotate_into(query, query, angles, angles, false, query, to); };
  };
  expect_error(rotate(query.slice(3, 1)), {"the rotated key must be [1, 1, 4, 8]; got [1, 1, 4, 7]"});
  expect_error(rotate(query.to(torch::kDouble)), {"the rotated key must be of dtype Float; got Double"});
  expect_error(rotate(torch::empty({1, 1, 8, 4}).transpose(2, 3)), {"must have contiguous rows; got strides"});
  expect_error(rotate(query.slice(2, 0, 1).expand_as(query)), {"single memory location"});
}

}  // namespace
}  // namespace lighthouse::test
