// Files that appear whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "io/unfinished.h"

namespace lighthouse::io {

/// A file that is written beside its place, under a name of its own, and takes its place in commit(). Until then
/// whatever stood at `path` stays as it is, and a writer that gives up leaves nothing behind. A file that stands there
/// lends its permissions; a link stays, and what it leads to is replaced. A device, a pipe and standard output or error
/// (/dev/stdout) cannot be replaced: they are written to straight away. Every call throws SystemError with the path and
/// the system's reason.
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
  void create_beside();

  std::filesystem::path path_;       // links followed
  std::filesystem::path temporary_;  // empty: written straight
  int descriptor_ = -1;
  std::unique_ptr<Unfinished> unfinished_;
};

/// Throws as writing there would, as far as can be known before; for paths that are written to after long work.
void expect_writable(const std::filesystem::path& path);

/// Puts `text` in place of the file, whole.
void write_file(const std::filesystem::path& path, std::string_view text);

/// Puts the bytes of one file in place of another, whole.
void copy_file(const std::filesystem::path& from, const std::filesystem::path& to);

/// Makes what was renamed or removed in a folder survive a power cut.
void sync_folder(const std::filesystem::path& folder);

/// A name beside `path` that nothing has: "NAME.k3x9q2.tmp". Names of files and folders that are not finished end so,
/// and those that a killed process left may be removed.
std::filesystem::path temporary_beside(const std::filesystem::path& path);
/// "NAME" of such a name; none where it is another.
std::optional<std::string> temporary_of(const std::string& name);

}  // namespace lighthouse::io
