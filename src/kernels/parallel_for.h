// How kernels get threads: the caller's pool, never one of their own, so that a process has a single set of workers.
#pragma once

#include <cstdint>
#include <functional>

namespace lighthouse::kernels {

/// Calls body(begin, end) over disjoint ranges that cover [0, count), possibly at once, and returns when all are done.
/// `grain` is the fewest items worth a thread of their own. Results never depend on how the range is cut.
using ParallelBody = std::function<void(int64_t begin, int64_t end)>;
using ParallelFor = std::function<void(int64_t count, int64_t grain, const ParallelBody& body)>;

}  // namespace lighthouse::kernels
