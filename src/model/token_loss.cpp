#include "model/token_loss.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <stdexcept>

#include "model/parts.h"
#include "model/products.h"

namespace lighthouse::model {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Of float32 logits of a chunk.
constexpr int64_t kChunkBytes = int64_t{128} << 20;
/// Every chunk reads and writes the whole gradient of the weight: with 261 rows and 128K words of 2,048 values the loss
/// took 4.7 times its products' time on an H100.
constexpr int64_t kLeastRows = 1024;

torch::ScalarType wide_type(const Tensor& x) {
  return x.scalar_type() == torch::kDouble ? torch::kDouble : torch::kFloat;
}

struct Chunk {
  Tensor log_probabilities;  // [rows, V], float32 or float64
  Tensor losses;             // [rows]
};

Chunk evaluate(const Tensor& hidden, const Tensor& weight, const Tensor& targets) {
  const Tensor logits = product(hidden, weight);
  Chunk chunk;
  chunk.log_probabilities = torch::log_softmax(logits, -1, wide_type(logits));
  chunk.losses = chunk.log_probabilities.gather(1, targets.unsqueeze(1)).squeeze(1).neg();
  return chunk;
}

template <typename Body>
void for_chunks(const Tensor& hidden, int64_t vocab_size, const Body& body) {
  const int64_t rows = hidden.size(0);
  const int64_t step = token_loss_rows(vocab_size);
  for (int64_t first = 0; first < rows; first += step) body(first, std::min(step, rows - first));
}

class TokenLoss : public torch::autograd::Function<TokenLoss> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& hidden, const Tensor& weight, const Tensor& targets,
                        int64_t parts, bool keep) {
    const Tensor narrow = pack({weight}, hidden.scalar_type());
    const double divisor = static_cast<double>(hidden.size(0) * parts);
    const PartScope scope("loss", {(keep ? 3 : 1) * product_flops(hidden.size(0), hidden.size(1), weight.size(0)), 0});
    Tensor sum = torch::zeros({}, hidden.options().dtype(wide_type(hidden)));
    Tensor grad_hidden, grad_weight;
    if (keep) grad_hidden = torch::empty_like(hidden);
    for_chunks(hidden, weight.size(0), [&](int64_t first, int64_t count) {
      const Tensor part = hidden.narrow(0, first, count);
      const Tensor labels = targets.narrow(0, first, count);
      Chunk chunk = evaluate(part, narrow, labels);
      sum += chunk.losses.sum();
      if (!keep) return;
      // The gradient of the logits: probabilities less one at the target.
      Tensor slope = chunk.log_probabilities.exp_();
      const Tensor column = labels.unsqueeze(1);
      slope.scatter_(1, column, slope.gather(1, column) - 1);
      Tensor scaled = torch::empty(slope.sizes(), hidden.options());
      torch::div_out(scaled, slope, torch::scalar_tensor(divisor, slope.options().device(torch::kCPU)));
      Tensor to = grad_hidden.narrow(0, first, count);
      torch::mm_out(to, scaled, narrow);
      if (!weight.requires_grad()) return;
      const Tensor grad = weight_gradient(scaled, part);
      grad_weight = grad_weight.defined() ? grad_weight.add_(grad) : grad;
    });
    if (keep) context->save_for_backward({grad_hidden, grad_weight});
    return sum / divisor;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const auto times = [&](const Tensor& gradient) {
      return gradient.defined() ? gradient * grads[0].to(gradient.scalar_type()) : gradient;
    };
    return {times(saved[0]), times(saved[1]), Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

int64_t token_loss_rows(int64_t vocab_size) {
  return std::max(kLeastRows, kChunkBytes / static_cast<int64_t>(sizeof(float)) / vocab_size);
}

Tensor token_loss(const Tensor& hidden, const Tensor& weight, const Tensor& targets, int64_t parts) {
  const bool keep = torch::GradMode::is_enabled() && (hidden.requires_grad() || weight.requires_grad());
  return TokenLoss::apply(hidden, weight, targets, parts, keep);
}

Tensor token_losses(const Tensor& hidden, const Tensor& weight, const Tensor& targets) {
  const torch::NoGradGuard no_grad;
  const Tensor narrow = pack({weight}, hidden.scalar_type());
  Tensor losses = torch::empty({hidden.size(0)}, hidden.options().dtype(wide_type(hidden)));
  for_chunks(hidden, weight.size(0), [&](int64_t first, int64_t count) {
    losses.narrow(0, first, count)
        .copy_(evaluate(hidden.narrow(0, first, count), narrow, targets.narrow(0, first, count)).losses);
  });
  return losses;
}

}  // namespace lighthouse::model
