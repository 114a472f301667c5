// What this machine, its libraries and its settings are like for Lighthouse, and what to do about it.
#pragma once

#include <string>
#include <vector>

namespace lighthouse::analysis {

enum class Verdict { kFine, kWarning, kProblem };

struct Finding {
  std::string subject;
  std::string found;
  Verdict verdict = Verdict::kFine;
  std::string advice;  ///< What to do, where there is something.
};

/// Takes about a second: small computations are tried and timed.
std::vector<Finding> examine();

}  // namespace lighthouse::analysis
