// Errors of the operating system, with the file they are about.
#pragma once

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace lighthouse::io {

/// Throws std::runtime_error "WHAT PATH: REASON", the reason that of `error` (errno by default).
[[noreturn]] inline void fail_system(const std::string& what, const std::filesystem::path& path, int error = errno) {
  throw std::runtime_error(what + " " + path.string() + ": " + std::strerror(error));
}

}  // namespace lighthouse::io
