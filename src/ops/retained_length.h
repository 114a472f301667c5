// Lengths that depend on N, for an N that torch.compile may keep symbolic.
#pragma once

#include <c10/core/SymInt.h>

#include "lighthouse/geometry.h"

namespace lighthouse::ops {

/// n: the tiles that the options ask for, or the default. Throws c10::ValueError naming `op` on bad options.
c10::SymInt num_tiles(const char* op, const c10::SymInt& num_tokens, const PyramidOptions& options);
/// S. A symbolic N branches once: on whether every tile holds at least b coarsest windows.
c10::SymInt retained_length(const char* op, const c10::SymInt& num_tokens, const PyramidOptions& options);
/// Windows of levels >= 1.
c10::SymInt num_nodes(const char* op, const c10::SymInt& num_tokens, const PyramidOptions& options);

}  // namespace lighthouse::ops
