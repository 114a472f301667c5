// Checksums of bytes: 64-bit XXH3, which keeps up with memory. It finds accidents, not attacks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace lighthouse::io {

class Checksum {
 public:
  Checksum();
  Checksum(const Checksum&) = delete;
  Checksum& operator=(const Checksum&) = delete;
  ~Checksum();

  void add(const void* data, size_t size);
  void add(std::string_view text) { add(text.data(), text.size()); }
  void add(uint64_t value) { add(&value, sizeof(value)); }
  /// Of what was added so far.
  uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// 16 hexadecimal digits.
std::string to_hex(uint64_t value);

}  // namespace lighthouse::io
