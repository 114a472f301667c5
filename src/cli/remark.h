// What a loader has to say beside what it loaded.
#pragma once

#include <iostream>
#include <string>

#include "text/utf8.h"

namespace lighthouse::cli {

inline void print_remark(const std::string& remark) {
  if (!remark.empty()) std::cerr << "Note: " << text::visible(remark) << "\n";
}

}  // namespace lighthouse::cli
