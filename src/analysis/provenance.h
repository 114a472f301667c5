// What a measurement was taken with, so that a figure can be traced.
#pragma once

#include <string>

namespace lighthouse::analysis {

struct Provenance {
  std::string cpu;              ///< The processor's name.
  int threads = 0;              ///< That torch computes with.
  std::string instruction_set;  ///< That torch's kernels use: "AVX2", "AVX512", "DEFAULT".
  std::string lighthouse;       ///< Version.
  std::string torch;            ///< Version.
  std::string commit;  ///< The environment's LIGHTHOUSE_COMMIT; without it, of the checkout that the program was built
                       ///< in, "+changes" where files differ from it. "unknown" for an installed program.
  std::string date;    ///< ISO 8601, UTC.
  std::string inner_kernel;  ///< Of the attention, where that was measured; empty in records of older times.
};

/// What cannot be found out is "unknown".
Provenance read_provenance();

}  // namespace lighthouse::analysis
