// The configuration reader: any text is a configuration or an invalid_argument, and a configuration's own text is read
// back to the same one.
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "train/config.h"

using namespace lighthouse;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::string written;
  try {
    written = train::to_toml(train::parse_config(text, "fuzz"));
  } catch (const std::invalid_argument&) {
    return 0;
  }
  if (train::to_toml(train::parse_config(written, "written")) != written) std::abort();
  return 0;
}
