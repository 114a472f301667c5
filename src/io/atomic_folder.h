// Folders that appear whole or not at all.
#pragma once

#include <filesystem>
#include <memory>

#include "io/file_lock.h"

namespace lighthouse::io {

/// A folder that is filled beside its place, under `path`.tmp, and takes its place in commit(). Until then whatever
/// stood at `path` stays as it is, and a writer that gives up leaves nothing behind. Every call throws
/// std::runtime_error with the path and the system's reason.
class AtomicFolder {
 public:
  /// Throws where another process is filling a folder for the same place. What a killed one left there is removed.
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
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::unique_ptr<FileLock> lock_;
};

}  // namespace lighthouse::io
