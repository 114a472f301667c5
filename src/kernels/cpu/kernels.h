// The CPU back end. Every function fills all of its outputs, takes threads from `parallel_for`, and gives the same bits
// for any number of threads and any instruction set. Shapes are the caller's to check (ops/ does).
#pragma once

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

/// The instruction set in use: "avx512", "avx2" or "baseline". LIGHTHOUSE_CPU_ISA names a lesser one to use instead.
const char* instruction_set();

}  // namespace lighthouse::kernels::cpu
