// Numbers in tables and sentences.
#pragma once

#include <cstdio>
#include <string>

namespace lighthouse::cli {

/// By a pattern of printf's for one floating-point number, as "%.1f".
inline std::string number(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), pattern, value);
  return text;
}

}  // namespace lighthouse::cli
