// Times and memory of a Lighthouse layer on a CUDA device, beside its inner call, dense attention by two kernels, and
// the floors of its stages.
//
// All figures of a case come from one interleaved run on the same inputs (cuda_timing.h).
#pragma once

#include <cstdint>
#include <vector>

#include "analysis/benchmark.h"
#include "analysis/cuda_result.h"

namespace lighthouse::analysis {

/// Longer sequences take FlashAttention-2 minutes.
constexpr int64_t kLongestFlash = 131072;
/// From here on few repeats are enough, and dear.
constexpr int64_t kLongFrom = 262144;
constexpr int64_t kLongRepeats = 3;

int64_t repeats_at(const BenchmarkSetting& setting, int64_t num_tokens);

/// Every length and variant of the plan under every rule and layout, in the order of lengths. Throws
/// std::invalid_argument where the setting cannot be measured on CUDA.
std::vector<CudaCase> cuda_cases(const BenchmarkSetting& setting, const Plan& plan, const std::vector<bool>& causal,
                                 const std::vector<Layout>& layouts);

CudaResult measure_cuda(const BenchmarkSetting& setting, const CudaCase& where, const Activity& activity = {});

/// A CUDA graph at 16,384 tokens; 524,288 tokens with k = 2,048 in torch's default and deterministic modes.
CudaExtras measure_cuda_extras(const BenchmarkSetting& setting, const Activity& activity = {});

}  // namespace lighthouse::analysis
