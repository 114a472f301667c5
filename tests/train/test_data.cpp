// Text files to sequences: which files, which split, which order.
#include <set>

#include "temporary_folder.h"
#include "train/corpus.h"

namespace lighthouse::test {
namespace {

using train::Corpus;
using train::DataConfig;

std::string bytes_of(size_t count, int start) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text.push_back(static_cast<char>((start + i * 7) % 256));
  return text;
}

DataConfig config_for(const TemporaryFolder& folder) {
  DataConfig config;
  config.paths = {folder.path().string()};
  config.context_length = 16;
  config.validation_fraction = 0.2;
  return config;
}

TEST(Corpus, TakesAnyBytesAndCutsThemUp) {
  const TemporaryFolder folder;
  folder.write("a.bin", bytes_of(1000, 0));
  const auto config = config_for(folder);
  Corpus corpus(config, 1);
  EXPECT_EQ(corpus.num_bytes(), 1000);
  EXPECT_EQ(corpus.training_sequences(), 799 / 16);
  EXPECT_EQ(corpus.validation_sequences(), 200 / 17);
  // One file: the text in its own order. Every sequence comes once an epoch, its targets one byte further on.
  const std::string text = bytes_of(1000, 0);
  std::set<const uint8_t*> seen;
  for (int64_t i = 0; i < corpus.training_sequences(); ++i) seen.insert(corpus.training_sequence(i));
  EXPECT_EQ(static_cast<int64_t>(seen.size()), corpus.training_sequences());
  const uint8_t* first = *seen.begin();
  for (const uint8_t* sequence : seen) {
    EXPECT_EQ((sequence - first) % 16, 0);
    const auto offset = static_cast<size_t>(sequence - first);
    for (size_t i = 0; i < 17; ++i) EXPECT_EQ(sequence[i], static_cast<uint8_t>(text[offset + i]));
    EXPECT_LE(offset + 17, 800U) << "training must not see held-out bytes";
  }
}

TEST(Corpus, OrderIsAFunctionOfSeedAndIndex) {
  const TemporaryFolder folder;
  for (int i = 0; i < 5; ++i) folder.write("f" + std::to_string(i), bytes_of(300, i));
  const auto config = config_for(folder);
  Corpus one(config, 3);
  Corpus two(config, 3);
  Corpus other(config, 4);
  const int64_t count = one.training_sequences();
  // `two` starts in the second epoch and goes back: a restart sees what the first run saw.
  std::vector<std::string> later;
  for (int64_t i = count; i < 2 * count; ++i)
    later.emplace_back(reinterpret_cast<const char*>(two.training_sequence(i)), 17);
  bool epochs_differ = false;
  bool seeds_differ = false;
  for (int64_t i = 0; i < 2 * count; ++i) {
    const std::string text(reinterpret_cast<const char*>(one.training_sequence(i)), 17);
    EXPECT_EQ(text, std::string(reinterpret_cast<const char*>(two.training_sequence(i)), 17));
    if (i >= count) {
      EXPECT_EQ(text, later[static_cast<size_t>(i - count)]);
    }
    if (i < count) epochs_differ |= text != later[static_cast<size_t>(i)];
    seeds_differ |= text != std::string(reinterpret_cast<const char*>(other.training_sequence(i)), 17);
  }
  EXPECT_TRUE(epochs_differ);
  EXPECT_TRUE(seeds_differ);
}

TEST(Corpus, ChoosesFilesInFolders) {
  const TemporaryFolder folder;
  folder.write("b/x.py", "1");
  folder.write("a/y.py", "2");
  folder.write("a/z.txt", "3");
  folder.write("skip/w.py", "4");
  std::filesystem::create_directory_symlink(folder.path(), folder.path() / "a" / "loop");
  auto config = config_for(folder);
  config.include = {"*.py"};
  config.exclude = {"sk*"};
  const auto files = train::find_files(config);
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[0].filename(), "y.py");
  EXPECT_EQ(files[1].filename(), "x.py");
  config.paths = {(folder.path() / "a" / "z.txt").string()};  // a file that is named is taken whatever the patterns
  EXPECT_EQ(train::find_files(config).size(), 1U);
}

TEST(Corpus, PermutationsAreTheSameEverywhere) {
  EXPECT_EQ(train::seeded_permutation(6, 1, 2), train::seeded_permutation(6, 1, 2));
  const auto order = train::seeded_permutation(1000, 9, 1);
  EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), 1000U);
  EXPECT_NE(order, train::seeded_permutation(1000, 9, 2));
  EXPECT_TRUE(train::seeded_permutation(0, 1, 1).empty());
}

TEST(Corpus, TakesAFileOnce) {
  const TemporaryFolder folder;
  const auto file = folder.write("a", bytes_of(400, 0));
  std::filesystem::create_symlink(file, folder.path() / "link");
  auto config = config_for(folder);
  config.paths.push_back(file.string());
  EXPECT_EQ(train::find_files(config).size(), 1U);
}

TEST(Corpus, NamesWhatIsWrong) {
  const TemporaryFolder folder;
  if (geteuid() != 0) {  // to root nothing is unreadable
    folder.write("locked/a", "text");
    std::filesystem::permissions(folder.path() / "locked", std::filesystem::perms::none);
    expect_error([&] { train::find_files(config_for(folder)); }, {"cannot read", "Permission denied"});
    std::filesystem::permissions(folder.path() / "locked", std::filesystem::perms::owner_all);
    std::filesystem::remove_all(folder.path() / "locked");
  }
  auto config = config_for(folder);
  expect_error([&] { Corpus(config, 1); }, {"no files below", folder.path().string()});
  folder.write("empty", "");
  expect_error([&] { Corpus(config, 1); }, {"too small", "expected at least 34 bytes", "got 0 in 1 files"});
  folder.write("small", bytes_of(20, 0));
  expect_error([&] { Corpus(config, 1); }, {"too small", "got 20 in 2 files"});
  config.paths = {"/no/such/place"};
  expect_error([&] { Corpus(config, 1); }, {"no such file or folder: /no/such/place"});
}

}  // namespace
}  // namespace lighthouse::test
