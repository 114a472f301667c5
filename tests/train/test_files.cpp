// Files that are whole or not there, grow by records, are mapped and locked.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <set>
#include <sstream>

#include "io/append_file.h"
#include "io/atomic_file.h"
#include "io/atomic_folder.h"
#include "io/checksum.h"
#include "io/file_lock.h"
#include "io/mapped_file.h"
#include "temporary_folder.h"

namespace lighthouse::test {
namespace {

namespace fs = std::filesystem;

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Of a folder: what is in it.
std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

/// No file of this process grows beyond a size while this lives, as on a full disk.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit less{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &less);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST(Files, TakeTheirPlaceWhole) {
  const TemporaryFolder folder;
  const auto path = folder.write("x", "old");
  {
    io::AtomicFile file(path);
    file.write("half of the ");
    EXPECT_EQ(content_of(path), "old") << "what stood there stays until the new file is whole";
  }
  EXPECT_EQ(content_of(path), "old");
  EXPECT_EQ(names_in(folder.path()), (std::set<std::string>{"x"})) << "a writer that gives up leaves nothing";
  {
    io::AtomicFile file(path);
    file.write("half of the ");
    file.write("new file");
    file.commit();
  }
  EXPECT_EQ(content_of(path), "half of the new file");
  EXPECT_EQ(names_in(folder.path()), (std::set<std::string>{"x"}));
}

TEST(Files, AreAsTheyWereWhereTheDiskIsFull) {
  const TemporaryFolder folder;
  const auto path = folder.write("x", "old");
  {
    const FullDisk full(1000);
    expect_error([&] { io::write_file(path, std::string(5000, 'n')); }, {"cannot write", "x"});
  }
  EXPECT_EQ(content_of(path), "old");
  EXPECT_EQ(names_in(folder.path()), (std::set<std::string>{"x"}));
}

TEST(Files, GrowByWholeRecords) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "record";
  io::AppendFile file(path);
  const std::string line(300, 'a');
  file.append(line);
  {
    const FullDisk full(500);
    expect_error([&] { file.append(std::string(300, 'b')); }, {"cannot write", "record"});
    EXPECT_EQ(content_of(path), line) << "no part of a record";
  }
  file.append(std::string(10, 'c'));
  EXPECT_EQ(content_of(path), line + std::string(10, 'c'));
  EXPECT_EQ(file.size(), 310U);
}

TEST(Files, GoOnAfterWhatIsKept) {
  const TemporaryFolder folder;
  const auto path = folder.write("record", "one\ntwo\nthr");
  {
    io::AppendFile file(path, 8);
    EXPECT_EQ(content_of(path), "one\ntwo\n");
    file.append("three\n");
  }
  EXPECT_EQ(content_of(path), "one\ntwo\nthree\n");
  expect_error([&] { io::AppendFile(path, 100); }, {"record", "at least 100 bytes; got 14"});
  EXPECT_EQ(content_of(path), "one\ntwo\nthree\n");
}

TEST(Files, NoticeAWriteOfTheSameSize) {
  const TemporaryFolder folder;
  const auto path = folder.write("data", "some bytes");
  const io::MappedFile file(path);
  file.expect_unchanged();
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  const auto set_time = [&](time_t seconds, long nanoseconds) {
    const timespec times[2] = {{0, UTIME_OMIT}, {status.st_mtim.tv_sec + seconds, nanoseconds}};
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  };
  const long before = status.st_mtim.tv_nsec;
  set_time(0, before > 0 ? before - 1 : 1);  // within the same second
  expect_error([&] { file.expect_unchanged(); }, {"data", "it was written to"});
  set_time(1, before);
  expect_error([&] { file.expect_unchanged(); }, {"data", "it was written to"});
  set_time(0, before);
  file.expect_unchanged();
}

TEST(Files, AreLockedByOne) {
  const TemporaryFolder folder;
  const auto path = folder.path() / ".lock";
  {
    const io::FileLock first(path);
    expect_error([&] { io::FileLock second(path); }, {"another process is using", folder.path().string()});
  }
  const io::FileLock third(path);
}

TEST(Folders, TakeTheirPlaceWhole) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "model";
  folder.write("model/old", "old");
  {
    const io::AtomicFolder files(path);
    io::write_file(files.temporary() / "half", "half");
    EXPECT_EQ(names_in(path), (std::set<std::string>{"old"}));
    expect_error([&] { io::AtomicFolder again(path); }, {"another process is using"});
  }
  EXPECT_EQ(names_in(folder.path()), (std::set<std::string>{"model"})) << "a writer that gives up leaves nothing";
  {
    io::AtomicFolder files(path);
    io::write_file(files.temporary() / "new", "new");
    files.commit();
  }
  EXPECT_EQ(names_in(path), (std::set<std::string>{"new"})) << "what stood there is gone, and no lock stays";
  EXPECT_EQ(names_in(folder.path()), (std::set<std::string>{"model"}));
}

TEST(Checksum, HasSixteenDigits) {
  EXPECT_EQ(io::to_hex(0), "0000000000000000");
  EXPECT_EQ(io::to_hex(0x1F), "000000000000001f");
  EXPECT_EQ(io::to_hex(UINT64_MAX), "ffffffffffffffff");
}

TEST(Checksum, IsOfAllThatWasAdded) {
  const auto of = [](const std::vector<std::string>& parts) {
    io::Checksum checksum;
    for (const auto& part : parts) checksum.add(part);
    return checksum.value();
  };
  EXPECT_EQ(of({"ab", "c"}), of({"abc"}));
  EXPECT_NE(of({"abc"}), of({"abd"}));
  EXPECT_NE(of({"abc"}), of({"abc", std::string(1, '\0')}));
  // XXH3's own value of nothing.
  EXPECT_EQ(io::to_hex(of({})), "2d06800538d394c2");
}

}  // namespace
}  // namespace lighthouse::test
