#include "cli/standard_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>

namespace lighthouse::cli {

void open_closed_standard_files() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // The lowest number that is free, which is this one.
    if (::open("/dev/null", descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY) < 0) return;
  }
}

int finish_output(int status) {
  errno = 0;
  std::cout.flush();
  bool whole = std::fflush(stdout) == 0 && std::cout.good() && std::ferror(stdout) == 0;
  // Some file systems say only when a file is closed that they had no room for it.
  const int copy = ::dup(STDOUT_FILENO);
  if (copy >= 0 && ::close(copy) != 0) whole = false;
  if (whole) return status;
  std::cerr << "lighthouse: what was printed could not be written to standard output"
            << (errno != 0 ? std::string(": ") + std::strerror(errno) : "") << "\n";
  return status == 0 ? 1 : status;
}

}  // namespace lighthouse::cli
