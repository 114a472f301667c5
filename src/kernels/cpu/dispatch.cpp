// Chooses the instruction set, cuts the work into threads, and does what needs no vectors.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/simd/isa.h"

namespace lighthouse::kernels::cpu {
namespace {

/// What this machine can run, best first.
std::vector<const VectorKernels*> supported_kernels() {
  std::vector<const VectorKernels*> supported;
#ifdef LIGHTHOUSE_X86_64
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    supported.push_back(&avx512::kKernels);
  }
  if (__builtin_cpu_supports("avx2")) supported.push_back(&avx2::kKernels);
#endif
  supported.push_back(&baseline::kKernels);
  return supported;
}

const VectorKernels& choose_kernels() {
  const auto supported = supported_kernels();
  const char* wanted = std::getenv("LIGHTHOUSE_CPU_ISA");
  if (wanted == nullptr) return *supported.front();
  std::string names;
  for (const auto* kernels : supported) {
    if (std::strcmp(wanted, kernels->name) == 0) return *kernels;
    names += std::string(names.empty() ? "" : ", ") + kernels->name;
  }
  throw std::runtime_error("LIGHTHOUSE_CPU_ISA must be one of what this machine has, " + names + "; got " + wanted);
}

const VectorKernels& vector_kernels() {
  static const VectorKernels& kernels = choose_kernels();
  return kernels;
}

/// Rows that are worth a thread of their own: about 64 KiB.
int64_t row_grain(int64_t row_elements) { return 1 + 16384 / (row_elements + 1); }

/// What is worth a thread where calls follow each other closely, as a token's do: to wake one takes as long as to read
/// some tens of KiB.
constexpr int64_t kThreadElements = 65536;

/// A row of doubles per level, or per halving of a long sum, and one to spare: enough for either kernel.
void* scratch(const WindowParameters& parameters) {
  thread_local std::vector<double> buffer;
  const auto size = static_cast<size_t>((Pyramid::kMaxLevels + 1) * parameters.head_dim);
  if (buffer.size() < size) buffer.resize(size);
  return buffer.data();
}

/// Scores of levels >= 2 from those of level 1: maxima over children that ignore NaN unless all are.
void score_coarser_levels(const Pyramid& p, int64_t trees, float* scores, const ParallelFor& parallel_for) {
  parallel_for(trees, 1, [&](int64_t begin, int64_t end) {
    for (int64_t tree = begin; tree < end; ++tree) {
      float* tree_scores = scores + tree * p.num_nodes;
      for (int64_t level = 2; level < p.num_levels; ++level) {
        const float* child = tree_scores + p.node_offset[level - 1];
        float* parent = tree_scores + p.node_offset[level];
        for (int64_t window = 0; window < p.num_windows[level]; ++window) {
          float best = std::numeric_limits<float>::quiet_NaN();
          for (int64_t i = 0; i < p.pooling_factor; ++i, ++child) {
            if (!(*child <= best) && *child == *child) best = *child;
          }
          parent[window] = best;
        }
      }
    }
  });
}

/// One head's output from its pieces, each of which has a largest score of its own.
void merge_pieces(const TokenAttentionParameters& p, int64_t head, int64_t pieces) {
  const int64_t stride = p.head_dim + 2;
  const float* const parts = p.parts + head * pieces * stride;
  float* const out = p.output + head * p.head_dim;
  float maximum = parts[0];
  for (int64_t i = 1; i < pieces; ++i) maximum = std::max(maximum, parts[i * stride]);
  float sum = 0;
  std::fill(out, out + p.head_dim, 0.0F);
  for (int64_t i = 0; i < pieces; ++i) {
    const float* const part = parts + i * stride;
    const float weight = std::exp(part[0] - maximum);
    sum += weight * part[1];
    for (int64_t d = 0; d < p.head_dim; ++d) out[d] += weight * part[2 + d];
  }
  for (int64_t d = 0; d < p.head_dim; ++d) out[d] /= sum;
}

}  // namespace

const char* instruction_set() { return vector_kernels().name; }

void score(const ScoreParameters& parameters, const ParallelFor& parallel_for) {
  const Pyramid& p = parameters.pyramid;
  if (p.num_nodes == 0) return;
  const int64_t trees = parameters.batch * parameters.kv_heads;
  parallel_for(trees * p.num_windows[1], row_grain(p.pooling_factor * parameters.head_dim),
               [&](int64_t begin, int64_t end) { vector_kernels().score(parameters, begin, end); });
  score_coarser_levels(p, trees, parameters.query_scores, parallel_for);
  score_coarser_levels(p, trees, parameters.key_scores, parallel_for);
}

void pool_scores(const PoolScoresParameters& parameters, const ParallelFor& parallel_for) {
  const Pyramid& p = parameters.pyramid;
  if (p.num_nodes == 0) return;
  const int64_t windows = p.num_windows[1];
  const int64_t trees = parameters.batch * parameters.kv_heads;
  const TokenScores& tokens = parameters.tokens;
  parallel_for(trees * windows, row_grain(p.pooling_factor), [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t tree = item / windows;
      const int64_t window = item % windows;
      const float* token = tokens.data + (tree / parameters.kv_heads) * tokens.stride_batch +
                           (tree % parameters.kv_heads) * tokens.stride_head +
                           window * p.pooling_factor * tokens.stride_token;
      float best = std::numeric_limits<float>::quiet_NaN();
      for (int64_t i = 0; i < p.pooling_factor; ++i, token += tokens.stride_token) {
        if (!(*token <= best) && *token == *token) best = *token;
      }
      parameters.window_scores[tree * p.num_nodes + p.node_offset[1] + window] = best;
    }
  });
  score_coarser_levels(p, trees, parameters.window_scores, parallel_for);
}

void window_reduce(const WindowParameters& parameters, const ParallelFor& parallel_for) {
  const Pyramid& p = parameters.pyramid;
  const int64_t tail_items = (p.num_tokens - p.tail_begin + kTailRowsPerItem - 1) / kTailRowsPerItem;
  const int64_t items = p.num_coarsest_windows + tail_items;
  const int64_t tokens_per_item = p.num_coarsest_windows > 0 ? p.window_length[p.num_levels - 1] : kTailRowsPerItem;
  parallel_for(
      parameters.batch * parameters.heads * items, row_grain(tokens_per_item * parameters.head_dim),
      [&](int64_t begin, int64_t end) { vector_kernels().window_reduce(parameters, begin, end, scratch(parameters)); });
}

void window_broadcast(const WindowParameters& parameters, const ParallelFor& parallel_for) {
  parallel_for(parameters.batch * parameters.heads * parameters.pyramid.num_tokens, row_grain(parameters.head_dim),
               [&](int64_t begin, int64_t end) {
                 vector_kernels().window_broadcast(parameters, begin, end, scratch(parameters));
               });
}

int64_t attention_pieces(int64_t length) { return (length + kTokensPerPiece - 1) / kTokensPerPiece; }

void token_attention(const TokenAttentionParameters& parameters, const ParallelFor& parallel_for) {
  const TokenAttentionParameters& p = parameters;
  const int64_t pieces = attention_pieces(p.length);
  const int64_t piece_elements = 2 * std::min(p.length, kTokensPerPiece) * p.head_dim;
  parallel_for(p.kv_heads * pieces, 1 + kThreadElements / (piece_elements + 1), [&](int64_t begin, int64_t end) {
    float scratch[kTokensPerPiece];
    vector_kernels().token_attention(p, begin, end, scratch);
  });
  for (int64_t head = 0; head < p.heads; ++head) merge_pieces(p, head, pieces);
}

void row_product(const RowProductParameters& parameters, const ParallelFor& parallel_for) {
  parallel_for(parameters.rows, 1 + kThreadElements / (parameters.columns + 1),
               [&](int64_t begin, int64_t end) { vector_kernels().row_product(parameters, begin, end); });
}

}  // namespace lighthouse::kernels::cpu
