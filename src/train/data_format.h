// Files that are neither text nor tokens as this program reads them, by their first bytes: compressed files, arrays,
// other trainers' formats.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>

#include "train/file_sample.h"

namespace lighthouse::train {

/// A file of data that is of another kind than its reader expects.
class OtherFormat : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws OtherFormat naming the file, its kind and what to do, where its bytes say that it is of a known kind. Marks
/// that text or tokens could begin with by chance are none.
void expect_no_other_format(const std::filesystem::path& path, const FileSample& sample);

/// The same for a file that is to be read as text: UTF-16 and UTF-32 too, pickles, and stand-ins for files that are
/// elsewhere. `by_name`: a name that is one of numbers or of compressed files (.npy, .gz) is refused whatever is in it.
void expect_text(const std::filesystem::path& path, const FileSample& sample, bool by_name);

/// ".bin" of "tokens.BIN".
std::string lower_extension(const std::filesystem::path& path);

/// Whether all of the sample is UTF-8 without control characters, and there is enough of it to say so.
bool looks_like_text(const FileSample& sample);

/// Whether all of the sample could be UTF-8 text, which has no zero bytes.
bool is_utf8(const FileSample& sample);

}  // namespace lighthouse::train
