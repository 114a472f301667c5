// How much of a forward pass is kept for the backward pass.
#pragma once

namespace lighthouse::model {

/// What a block computes again in its backward pass. Attention and selection never are. What norms and SwiGLU give
/// always is, since they are kernels bound by memory; so is what scatter gives.
enum class Recompute {
  kNone,       ///< Kept beside attention's: the block's input, the sum after attention, gate and up.
  kSelective,  ///< The block's input and the sum; gate and up are computed again.
  kFull,       ///< The block's input.
};

}  // namespace lighthouse::model
