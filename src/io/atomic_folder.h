// Folders that appear whole or not at all.
#pragma once

#include <filesystem>
#include <memory>

#include "io/file_lock.h"
#include "io/unfinished.h"

namespace lighthouse::io {

/// A folder that is filled beside its place, under a name of its own, and takes its place in commit(). Until then
/// whatever stood at `path` stays as it is, and a writer that gives up leaves nothing behind. Every call throws
/// std::runtime_error with the path and the system's reason.
///
/// While it is filled, a file ".NAME.lighthouse-lock" beside `path` is locked and says what the folder is called for
/// now. A process that is killed leaves both; the next one for the same place removes them, whatever moment it was: the
/// folder may hold by then what stood at `path` before.
class AtomicFolder {
 public:
  /// Throws where another process is filling a folder for the same place.
  explicit AtomicFolder(const std::filesystem::path& path);
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;
  ~AtomicFolder();

  /// Where to write: files there must be synced by whoever writes them, as AtomicFile does.
  const std::filesystem::path& temporary() const { return temporary_; }
  /// Puts the folder in the place of what stood there, if anything did, and syncs. Where the
  /// file system can exchange names (all local ones of Linux), there is always one or the other.
  void commit();

 private:
  void remove_leftovers();
  void clear();

  std::filesystem::path path_;
  std::filesystem::path lock_path_;
  std::filesystem::path temporary_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<Unfinished> unfinished_;
  std::unique_ptr<Unfinished> unfinished_lock_;
};

}  // namespace lighthouse::io
