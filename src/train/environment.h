// What the bits of a result depend on beside the configuration.
#pragma once

#include <map>
#include <string>

namespace lighthouse::train {

/// Name to value: versions of lighthouse and torch, threads, and the instruction sets in use.
using Environment = std::map<std::string, std::string>;
Environment environment();

/// "threads: 2 then, 4 now; …": empty where both are the same.
std::string describe_differences(const Environment& then, const Environment& now);

}  // namespace lighthouse::train
