// Where a result is written: over files, links, devices and pipes, under names that nobody else has.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "io/atomic_file.h"
#include "io/atomic_folder.h"
#include "io/input_file.h"
#include "io/system_error.h"
#include "io/unfinished.h"
#include "temporary_folder.h"

namespace lighthouse::test {
namespace {

namespace fs = std::filesystem;

mode_t permissions(const fs::path& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return status.st_mode & 07777;
}

size_t count_entries(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(OutputFiles, LinksStayAndWhatTheyLeadToIsReplaced) {
  const TemporaryFolder folder;
  folder.write("elsewhere/x", "old");
  fs::create_symlink("elsewhere/x", folder.path() / "link");
  fs::create_symlink("link", folder.path() / "link-to-link");
  io::write_file(folder.path() / "link-to-link", "new");
  EXPECT_TRUE(fs::is_symlink(folder.path() / "link-to-link") && fs::is_symlink(folder.path() / "link"));
  EXPECT_EQ(io::read_file(folder.path() / "elsewhere" / "x"), "new");
  fs::create_symlink("not-there-yet", folder.path() / "hanging");
  io::write_file(folder.path() / "hanging", "new");
  EXPECT_EQ(io::read_file(folder.path() / "not-there-yet"), "new");
  EXPECT_TRUE(fs::is_symlink(folder.path() / "hanging"));
  fs::create_symlink("circle", folder.path() / "circle");
  expect_error([&] { io::write_file(folder.path() / "circle", "new"); }, {"circle", "symbolic links"});
}

TEST(OutputFiles, FoldersAreNoFiles) {
  const TemporaryFolder folder;
  fs::create_directory(folder.path() / "x");
  fs::create_symlink("x", folder.path() / "link");
  for (const char* name : {"x", "link"}) {
    expect_error([&] { io::write_file(folder.path() / name, "new"); }, {name, "is a folder; expected a file"});
  }
  expect_error([&] { io::write_file(folder.path() / "none" / "x", "new"); }, {"none", "No such file"});
}

TEST(OutputFiles, PipesAreWrittenTo) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::string got;
  std::thread reader([&] { got = io::read_file(path); });
  io::write_file(path, "through a pipe");
  reader.join();
  EXPECT_EQ(got, "through a pipe");
  EXPECT_TRUE(fs::is_fifo(path)) << "and stay what they are";
  EXPECT_EQ(count_entries(folder.path()), 1U);
}

TEST(OutputFiles, DevicesAreWrittenTo) {
  const TemporaryFolder folder;
  const fs::path null = folder.path() / "null";
  const fs::path full = folder.path() / "full";
  if (::mknod(null.c_str(), S_IFCHR | 0666, makedev(1, 3)) != 0 ||
      ::mknod(full.c_str(), S_IFCHR | 0666, makedev(1, 7)) != 0) {
    GTEST_SKIP() << "needs the right to make devices";
  }
  const int opened = ::open(null.c_str(), O_WRONLY);
  if (opened < 0) GTEST_SKIP() << "needs a file system with devices";
  ::close(opened);
  io::write_file(null, "nothing");
  fs::create_symlink("null", folder.path() / "link");
  io::write_file(folder.path() / "link", "nothing");
  EXPECT_TRUE(fs::is_character_file(null));
  expect_error([&] { io::write_file(full, "too much"); }, {"cannot write", "full", "No space left"});
  EXPECT_TRUE(fs::is_character_file(full));
  EXPECT_EQ(count_entries(folder.path()), 3U);
}

TEST(OutputFiles, SocketsAreNotReplaced) {
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "socket").string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  path.copy(address.sun_path, path.size());
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  expect_error([&] { io::write_file(path, "new"); }, {"cannot write", "socket"});
  EXPECT_TRUE(fs::is_socket(path));
  ::close(descriptor);
}

/// A descriptor that leads to a file is written on from where it stands.
TEST(OutputFiles, DescriptorsAreWrittenOn) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "out";
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT, 0600);
  ASSERT_EQ(::write(descriptor, "before\n", 7), 7);
  for (const std::string name : {"/dev/fd/", "/proc/self/fd/"})
    io::write_file(name + std::to_string(descriptor), "in\n");
  fs::create_symlink("/dev/fd/" + std::to_string(descriptor), folder.path() / "link");
  io::write_file(folder.path() / "link", "in\n");
  ASSERT_EQ(::write(descriptor, "after\n", 6), 6);
  ::close(descriptor);
  EXPECT_EQ(io::read_file(path), "before\nin\nin\nin\nafter\n");
}

TEST(OutputFiles, HaveThePermissionsOfTheOldOneOrTheMask) {
  const TemporaryFolder folder;
  const mode_t before = ::umask(027);
  io::write_file(folder.path() / "new", "x");
  EXPECT_EQ(permissions(folder.path() / "new"), 0640U);
  ::umask(before);
  const auto secret = folder.write("secret", "old");
  ::chmod(secret.c_str(), 0600);
  io::write_file(secret, "new");
  EXPECT_EQ(permissions(secret), 0600U);
  const auto script = folder.write("script", "old");
  ::chmod(script.c_str(), 0755);
  io::write_file(script, "new");
  EXPECT_EQ(permissions(script), 0755U);
}

TEST(OutputFiles, TemporaryNamesAreNobodyElses) {
  const TemporaryFolder folder;
  const auto mine = folder.write("notes.tmp", "mine");
  folder.write("notes", "old");
  io::write_file(folder.path() / "notes", "new");
  EXPECT_EQ(io::read_file(mine), "mine");
  io::AtomicFile one(folder.path() / "notes");
  io::AtomicFile two(folder.path() / "notes");
  one.write("one");
  two.write("two");
  two.commit();
  one.commit();
  EXPECT_EQ(io::read_file(folder.path() / "notes"), "one") << "two writers do not meet";
  EXPECT_EQ(count_entries(folder.path()), 2U);
  const std::string longest(255, 'n');
  io::write_file(folder.path() / longest, "as long as names may be");
  EXPECT_TRUE(fs::exists(folder.path() / longest));

  EXPECT_EQ(io::temporary_of(io::temporary_beside("/a/model").filename().string()), "model");
  for (const char* name :
       {"notes.tmp", "notes.abc.tmp", ".abcdef.tmp", "notes.ABCDEF.tmp", "notes.abcdef.txt", ".tmp"}) {
    EXPECT_EQ(io::temporary_of(name), std::nullopt) << name;
  }
}

TEST(OutputFiles, AreLookedAtBeforeTheWork) {
  const TemporaryFolder folder;
  io::expect_writable(folder.path() / "new");
  io::expect_writable(folder.write("old", "old"));
  EXPECT_EQ(count_entries(folder.path()), 1U) << "and nothing is made by that";
  expect_error([&] { io::expect_writable(folder.path() / "none" / "x"); }, {"none", "No such file"});
  expect_error([&] { io::expect_writable(folder.path()); }, {"is a folder"});
}

TEST(OutputFolders, LeaveAFolderOfTheUsersAlone) {
  const TemporaryFolder folder;
  folder.write("model.tmp/thesis", "mine");
  folder.write("model/old", "old");
  {
    io::AtomicFolder files(folder.path() / "model");
    io::write_file(files.temporary() / "new", "new");
    files.commit();
  }
  EXPECT_TRUE(fs::exists(folder.path() / "model" / "new"));
  EXPECT_EQ(io::read_file(folder.path() / "model.tmp" / "thesis"), "mine");
  EXPECT_EQ(count_entries(folder.path()), 2U);
  folder.write(".other.lighthouse-lock", "a note");
  expect_error([&] { io::AtomicFolder(folder.path() / "other"); }, {".other.lighthouse-lock is in the way"});
  EXPECT_EQ(io::read_file(folder.path() / ".other.lighthouse-lock"), "a note");
}

/// A process that is killed leaves one of these states; none stops the next one, and none loses what stood there.
TEST(OutputFolders, GoOnAfterAKillAtAnyMoment) {
  const TemporaryFolder folder;
  const fs::path model = folder.path() / "model";
  const auto commit = [&] {
    io::AtomicFolder files(model);
    io::write_file(files.temporary() / "new", "new");
    files.commit();
  };
  folder.write("model/old", "old");
  folder.write("model.abc123.tmp/half", "half");
  folder.write(".model.lighthouse-lock", "model.abc123.tmp");
  commit();  // while it was filled
  EXPECT_EQ(count_entries(folder.path()), 1U);

  folder.write("model.abc123.tmp/old", "old");
  folder.write(".model.lighthouse-lock", "model.abc123.tmp");
  commit();  // after the names were exchanged: what was replaced is not removed yet
  EXPECT_EQ(count_entries(folder.path()), 1U);
  EXPECT_TRUE(fs::exists(model / "new"));

  // Where names cannot be exchanged, between the two renames.
  fs::rename(model, folder.path() / "model.abc123.tmp.old");
  folder.write("model.abc123.tmp/newer", "newer");
  folder.write(".model.lighthouse-lock", "model.abc123.tmp");
  expect_error(commit, {"was killed while it replaced", "stands there again"});
  EXPECT_EQ(io::read_file(model / "new"), "new");
  commit();
  EXPECT_EQ(count_entries(folder.path()), 1U);
}

TEST(OutputFolders, ASignalLeavesNothing) {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGTERM, [](int signal) {
      io::remove_unfinished();
      std::signal(signal, SIG_DFL);
      std::raise(signal);
    });
    io::AtomicFolder files(folder.path() / "model");
    io::write_file(files.temporary() / "weights", "weights");
    fs::create_directory(files.temporary() / "huggingface");
    const io::AtomicFile within(files.temporary() / "huggingface" / "tokenizer.json");
    const io::AtomicFile beside(folder.path() / "eval.json");
    std::raise(SIGTERM);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  EXPECT_EQ(count_entries(folder.path()), 0U);
}

}  // namespace
}  // namespace lighthouse::test
