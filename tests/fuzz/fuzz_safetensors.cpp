// The safetensors reader: any bytes are a file or a runtime_error, and what was read is written and read again the
// same.
#include <torch/types.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "memory_file.h"
#include "model/safetensors.h"

using namespace lighthouse;

namespace {

bool same(const model::SafetensorsFile& a, const model::SafetensorsFile& b) {
  if (a.tensors.size() != b.tensors.size()) return false;
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    const auto& [name, x] = a.tensors[i];
    const auto& [other_name, y] = b.tensors[i];
    if (name != other_name || x.scalar_type() != y.scalar_type() || x.sizes() != y.sizes()) return false;
    if (x.nbytes() != 0 && std::memcmp(x.data_ptr(), y.data_ptr(), x.nbytes()) != 0) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::filesystem::path copy = "/dev/shm/lighthouse-fuzz-" + std::to_string(getpid()) + ".safetensors";
  const fuzz::MemoryFile file(data, size);
  model::SafetensorsFile read;
  try {
    read = model::read_safetensors(file.path());
  } catch (const std::runtime_error&) {
    return 0;
  }
  // One file in sixteen: writing syncs.
  if (size % 16 == 0 && !read.tensors.empty()) {
    model::write_safetensors(copy, read.tensors);
    if (!same(read, model::read_safetensors(copy))) std::abort();
    std::filesystem::remove(copy);
  }
  return 0;
}
