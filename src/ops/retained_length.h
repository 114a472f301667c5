// Lengths that depend on N, for an N that torch.compile may keep symbolic.
#pragma once

#include <c10/core/SymInt.h>

#include "lighthouse/geometry.h"

namespace lighthouse::ops {

/// k: as the options have it, or the default, an expression of N.
c10::SymInt top_k(const char* op, const c10::SymInt& num_tokens, const PyramidOptions& options);
/// n: the tiles that the options ask for, or the default. Throws c10::ValueError naming `op` on bad options.
c10::SymInt num_tiles(const char* op, const c10::SymInt& num_tokens, const PyramidOptions& options);
/// S. A symbolic N branches on whether every tile has a coarsest window, and whether it holds at least b of them: not on
/// its value.
c10::SymInt retained_length(const char* op, const c10::SymInt& num_tokens, const PyramidOptions& options);
/// Windows of levels >= 1.
c10::SymInt num_nodes(const char* op, const c10::SymInt& num_tokens, const PyramidOptions& options);

}  // namespace lighthouse::ops
