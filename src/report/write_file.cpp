#include "report/write_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace lighthouse::report {

void write_file(const std::filesystem::path& path, const std::string& text) {
  const std::filesystem::path temporary = path.string() + ".tmp";
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) throw std::runtime_error("cannot write " + temporary.string() + ": " + std::strerror(errno));
  std::error_code error;
  std::filesystem::rename(temporary, path, error);
  if (error)
    throw std::runtime_error("cannot rename " + temporary.string() + " to " + path.string() + ": " + error.message());
}

}  // namespace lighthouse::report
