// Numbers in tables and sentences.
#pragma once

#include <string>

#include "text/number_text.h"

namespace lighthouse::cli {

/// By a pattern of printf's for one floating-point number, as "%.1f".
inline std::string number(const char* pattern, double value) { return text::format(pattern, value); }

}  // namespace lighthouse::cli
