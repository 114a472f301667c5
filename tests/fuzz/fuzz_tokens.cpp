// The readers of token files: any bytes in any format are tokens below the vocabulary or a runtime_error. The first
// byte is the format, the second and third what is read.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "memory_file.h"
#include "train/megatron_index.h"
#include "train/token_source.h"

using namespace lighthouse;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  constexpr train::DataFormat kFormats[] = {train::DataFormat::kAuto,   train::DataFormat::kText,
                                            train::DataFormat::kUint16, train::DataFormat::kUint32,
                                            train::DataFormat::kLlmC,   train::DataFormat::kBytes};
  const fuzz::MemoryFile file(data + 3, size - 3);
  try {
    if (data[0] % (std::size(kFormats) + 1) == std::size(kFormats)) {
      train::check_megatron_index(file.path(), "tokens.bin", data[1]);
      return 0;
    }
    const int64_t vocab_size = 1 + data[1] * int64_t{300};
    const train::TokenSource source(file.path(), kFormats[data[0] % (std::size(kFormats) + 1)], vocab_size);
    const int64_t begin = source.num_tokens() * data[2] / 256;
    std::vector<int64_t> tokens(static_cast<size_t>(source.num_tokens() - begin), -1);
    source.read(begin, source.num_tokens() - begin, tokens.data());
    if (!std::all_of(tokens.begin(), tokens.end(), [&](int64_t t) { return t >= 0 && t < vocab_size; })) std::abort();
    io::Checksum checksum;
    source.add_to(checksum, data[2] % 2 == 0);
  } catch (const std::runtime_error&) {}
  return 0;
}
