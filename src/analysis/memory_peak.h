// How many bytes of tensors a computation holds at once.
#pragma once

#include <cstdint>
#include <functional>

namespace lighthouse::analysis {

/// The most bytes that tensors made by `run` take at once, in memory of torch's CPU allocator.
///
/// Counted: every block that torch's allocator gives out on the calling thread while `run` lasts, backward passes
/// included (autograd works for the CPU on the thread that asks), until the block is freed. Not counted: what was there
/// before (freeing it during `run` does not lower the figure), what libraries take from malloc themselves, and the
/// rounding of blocks to pages.
int64_t memory_peak(const std::function<void()>& run);

}  // namespace lighthouse::analysis
