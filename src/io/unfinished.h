// What a process that is told to end must not leave behind.
#pragma once

#include <filesystem>

namespace lighthouse::io {

/// A file or a folder of files that is not whole yet, for as long as this lives.
class Unfinished {
 public:
  explicit Unfinished(const std::filesystem::path& path);
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  ~Unfinished();

 private:
  int slot_;  // negative: all are taken, and a signal leaves this one to be removed by hand
};

/// Removes them all. For signal handlers: it asks for no memory and no lock.
void remove_unfinished() noexcept;

}  // namespace lighthouse::io
