// Errors of the operating system, with the file they are about, and files whose content is not what it was.
#pragma once

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace lighthouse::io {

/// The system refused something: a permission, a disk, a limit. It says nothing about the content of a file.
class SystemError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A file was read, and its bytes are not what was written.
class DamagedFile : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws SystemError "WHAT PATH: REASON", the reason that of `error` (errno by default).
[[noreturn]] inline void fail_system(const std::string& what, const std::filesystem::path& path, int error = errno) {
  throw SystemError(what + " " + path.string() + ": " + std::strerror(error));
}

}  // namespace lighthouse::io
