// The CPU back end. Every function fills all of its outputs, takes threads from `parallel_for`, and gives the same bits
// for any number of threads and any instruction set. Shapes are the caller's to check (ops/ does).
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/parallel_for.h"
#include "kernels/parameters.h"
#include "lighthouse/geometry.h"

namespace lighthouse::kernels::cpu {

void score(const ScoreParameters& parameters, const ParallelFor& parallel_for);
void pool_scores(const PoolScoresParameters& parameters, const ParallelFor& parallel_for);
void select(const SelectParameters& parameters, const Geometry& geometry, const ParallelFor& parallel_for);
void window_reduce(const WindowParameters& parameters, const ParallelFor& parallel_for);
void window_broadcast(const WindowParameters& parameters, const ParallelFor& parallel_for);
/// Pieces of the context that token_attention's `parts` are of.
int64_t attention_pieces(int64_t length);
void token_attention(const TokenAttentionParameters& parameters, const ParallelFor& parallel_for);
void row_product(const RowProductParameters& parameters, const ParallelFor& parallel_for);
void list_entries(const ListParameters& parameters, const ParallelFor& parallel_for);

/// A window whose word is not that of a tree of the sizes asked for.
struct TreeFault {
  int64_t level = 0;
  int64_t window = 0;
  int64_t rank = 0;           ///< By its word; -1: not retained.
  int64_t expected_rank = 0;  ///< By the walk; -1: not retained, since its parent is not expanded.
};
/// The first fault of one tree's nodes, all of which are looked at; none: every rank that the kernels follow is one of
/// the rows, and every row is some entry's.
std::optional<TreeFault> find_tree_fault(const Pyramid& pyramid, const Node* nodes);

/// The instruction set in use: "avx512", "avx2" or "baseline". LIGHTHOUSE_CPU_ISA names a lesser one to use instead.
const char* instruction_set();

}  // namespace lighthouse::kernels::cpu
