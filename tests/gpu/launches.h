// Launches beside other errors of CUDA's.
#pragma once

#include <string>

namespace lighthouse::test {

/// What is wrong with launches of ours after another's call has failed, and after one of their own; empty: nothing.
std::string check_launches();

}  // namespace lighthouse::test
