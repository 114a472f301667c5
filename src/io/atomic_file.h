// Files that appear whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace lighthouse::io {

/// Ends the names of files that are not finished; what a killed process leaves of them may be removed.
inline constexpr std::string_view kTemporarySuffix = ".tmp";

/// A file that is written beside its place, under `path`.tmp, and takes its place in commit(). Until then whatever
/// stood at `path` stays as it is, and a writer that gives up leaves nothing behind. Every call throws
/// std::runtime_error with the path and the system's reason.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(const void* data, size_t size);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Syncs, renames, and syncs the folder: after it the new file survives a power cut.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_;
};

/// Puts `text` in place of the file, whole.
void write_file(const std::filesystem::path& path, std::string_view text);

/// Puts the bytes of one file in place of another, whole.
void copy_file(const std::filesystem::path& from, const std::filesystem::path& to);

/// Makes what was renamed or removed in a folder survive a power cut.
void sync_folder(const std::filesystem::path& folder);

}  // namespace lighthouse::io
