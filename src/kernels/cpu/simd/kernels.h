// The functions behind VectorKernels, in the namespace of the instruction set being compiled.
#pragma once

#include "kernels/parameters.h"

namespace lighthouse::kernels::cpu::LIGHTHOUSE_ISA {

void score(const ScoreParameters& parameters, int64_t begin, int64_t end);
void window_reduce(const WindowParameters& parameters, int64_t begin, int64_t end, void* scratch);
void window_broadcast(const WindowParameters& parameters, int64_t begin, int64_t end, void* scratch);
void token_attention(const TokenAttentionParameters& parameters, int64_t begin, int64_t end, float* scratch);
void row_product(const RowProductParameters& parameters, int64_t begin, int64_t end);

}  // namespace lighthouse::kernels::cpu::LIGHTHOUSE_ISA
