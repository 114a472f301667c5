// Text files to sequences: which files, which split, which order.
#include <sys/resource.h>

#include <chrono>
#include <fstream>
#include <numeric>
#include <set>
#include <thread>
#include <tuple>
#include <vector>

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

template <typename Token>
std::filesystem::path write_tokens(const TemporaryFolder& folder, const std::string& name,
                                   const std::vector<Token>& tokens, const std::string& header = "") {
  return folder.write(
      name, header + std::string(reinterpret_cast<const char*>(tokens.data()), tokens.size() * sizeof(Token)));
}

std::string llm_c_header(int32_t magic, int32_t version, int32_t count) {
  std::vector<int32_t> header(256, 0);
  header[0] = magic;
  header[1] = version;
  header[2] = count;
  return {reinterpret_cast<const char*>(header.data()), 1024};
}

DataConfig config_for(const TemporaryFolder& folder) {
  DataConfig config;
  config.paths = {folder.path().string()};
  config.context_length = 16;
  config.validation_fraction = 0.2;
  return config;
}

using Sequence = std::vector<int64_t>;

Sequence training_sequence(Corpus& corpus, int64_t index, size_t context = 16) {
  Sequence tokens(context + 1, -1);
  corpus.read_training_sequence(index, tokens.data());
  return tokens;
}

TEST(Corpus, TakesAnyBytesAndCutsThemUp) {
  const TemporaryFolder folder;
  // Numbered tokens, so that a sequence says where it is from.
  std::vector<uint16_t> numbers(1000);
  std::iota(numbers.begin(), numbers.end(), uint16_t{0});
  write_tokens(folder, "a.bin", numbers);
  const auto config = config_for(folder);
  Corpus corpus(config, 1, 1000);
  EXPECT_EQ(corpus.num_tokens(), 1000);
  EXPECT_EQ(corpus.training_sequences(), 799 / 16);
  EXPECT_EQ(corpus.validation_sequences(), 200 / 17);
  // Every sequence comes once an epoch, its targets one token further on.
  std::set<int64_t> begins;
  for (int64_t i = 0; i < corpus.training_sequences(); ++i) {
    const Sequence tokens = training_sequence(corpus, i);
    EXPECT_EQ(tokens.front() % 16, 0);
    for (size_t j = 0; j < tokens.size(); ++j) EXPECT_EQ(tokens[j], tokens.front() + static_cast<int64_t>(j));
    EXPECT_LT(tokens.back(), 800) << "training must not see held-out tokens";
    begins.insert(tokens.front());
  }
  EXPECT_EQ(static_cast<int64_t>(begins.size()), corpus.training_sequences());
  Sequence held_out(17);
  for (int64_t i = 0; i < 3; ++i) {
    corpus.read_validation_sequence(i, 3, held_out.data());
    EXPECT_GE(held_out.front(), 800);
  }
}

TEST(Corpus, SequencesRunOnFromFileToFile) {
  const TemporaryFolder folder;
  for (int i = 0; i < 40; ++i)
    folder.write(std::string("f").append(std::to_string(i)), std::string(static_cast<size_t>(i % 7), 'x'));
  folder.write("long", std::string(2 << 20, 'y'));  // mapped, where the others are in memory
  auto config = config_for(folder);
  config.validation_fraction = 0.00001;
  Corpus corpus(config, 2, 256);
  EXPECT_EQ(corpus.fingerprint(), Corpus(config, 2, 256).fingerprint());  // some of the files are empty
  int64_t x = 0;
  for (int64_t i = 0; i < corpus.training_sequences(); ++i) {
    const Sequence tokens = training_sequence(corpus, i);
    for (size_t j = 0; j < 16; ++j) {
      ASSERT_TRUE(tokens[j] == 'x' || tokens[j] == 'y');
      x += tokens[j] == 'x' ? 1 : 0;
    }
  }
  EXPECT_GT(x, 80);
}

TEST(Corpus, OrderIsAFunctionOfSeedAndIndex) {
  const TemporaryFolder folder;
  for (int i = 0; i < 5; ++i) folder.write(std::string("f").append(std::to_string(i)), bytes_of(300, i));
  const auto config = config_for(folder);
  Corpus one(config, 3, 256);
  Corpus two(config, 3, 256);
  Corpus other(config, 4, 256);
  const int64_t count = one.training_sequences();
  // `two` starts in the second epoch and goes back: a restart sees what the first run saw.
  std::vector<Sequence> later;
  for (int64_t i = count; i < 2 * count; ++i) later.push_back(training_sequence(two, i));
  bool epochs_differ = false;
  bool seeds_differ = false;
  for (int64_t i = 0; i < 2 * count; ++i) {
    const Sequence tokens = training_sequence(one, i);
    EXPECT_EQ(tokens, training_sequence(two, i));
    if (i >= count) {
      EXPECT_EQ(tokens, later[static_cast<size_t>(i - count)]);
    }
    if (i < count) epochs_differ |= tokens != later[static_cast<size_t>(i)];
    seeds_differ |= tokens != training_sequence(other, i);
  }
  EXPECT_TRUE(epochs_differ);
  EXPECT_TRUE(seeds_differ);
}

TEST(Corpus, TokenFiles) {
  const TemporaryFolder folder;
  const std::vector<uint16_t> small = {7, 300, 50256, 0, 1};
  const std::vector<uint32_t> large = {7, 300, 128255, 0, 1};
  auto tokens_of = [&](const train::TokenSource& source) {
    Sequence tokens(static_cast<size_t>(source.num_tokens()));
    source.read(0, source.num_tokens(), tokens.data());
    return tokens;
  };
  using train::DataFormat;
  const Sequence expected = {7, 300, 50256, 0, 1};
  const Sequence wide = {7, 300, 128255, 0, 1};
  EXPECT_EQ(tokens_of({write_tokens(folder, "a.bin", small), DataFormat::kAuto, 1 << 16}), expected);
  EXPECT_EQ(tokens_of({write_tokens(folder, "b.bin", large), DataFormat::kAuto, 128256}), wide);
  EXPECT_EQ(tokens_of({write_tokens(folder, "a", large), DataFormat::kUint32, 128256}), wide);
  EXPECT_EQ(tokens_of({write_tokens(folder, "c.bin", small, llm_c_header(20240520, 1, 5)), DataFormat::kAuto, 200000}),
            expected);
  EXPECT_EQ(tokens_of({write_tokens(folder, "d.bin", large, llm_c_header(20240801, 7, 5)), DataFormat::kAuto, 200000}),
            wide);

  const auto open = [&](const std::filesystem::path& path, DataFormat format) {
    expect_error([&] { train::TokenSource(path, format, 60000); }, {path.string()});
    try {
      train::TokenSource(path, format, 60000);
    } catch (const std::exception& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(open(folder.write("odd.bin", "abc"), DataFormat::kAuto).find("got 3 bytes"), std::string::npos);
  EXPECT_NE(open(folder.write("short", "abc"), DataFormat::kLlmC).find("header of 1024 bytes"), std::string::npos);
  const auto wrong_count = write_tokens(folder, "e.bin", small, llm_c_header(20240520, 1, 6));
  EXPECT_NE(open(wrong_count, DataFormat::kAuto).find("says 6 tokens; the file has 5"), std::string::npos);
  const auto cut = folder.write("cut.bin", llm_c_header(20240520, 1, 5).substr(0, 600));
  EXPECT_NE(open(cut, DataFormat::kAuto).find("header of 1024 bytes; the file has 600"), std::string::npos);
  const auto wrong_version = write_tokens(folder, "f.bin", small, llm_c_header(20240520, 2, 5));
  EXPECT_NE(open(wrong_version, DataFormat::kAuto).find("expected version 1"), std::string::npos);
  EXPECT_NE(open(wrong_version, DataFormat::kLlmC).find("got 2"), std::string::npos);

  expect_error([&] { train::TokenSource(folder.path() / "a.bin", DataFormat::kAuto, 300); },
               {"a.bin", "token 1 is 300", "vocab_size, 300"});
}

TEST(Corpus, NamesTokensBeyondTheVocabularyWhereverTheyAre) {
  const TemporaryFolder folder;
  std::vector<uint16_t> numbers(40000, 5);
  numbers[25001] = 256;  // no sample has it
  write_tokens(folder, "a.bin", numbers);
  auto config = config_for(folder);
  config.validation_fraction = 0;
  Corpus corpus(config, 1, 256);
  expect_error(
      [&] {
        for (int64_t i = 0; i < corpus.training_sequences(); ++i) training_sequence(corpus, i);
      },
      {"a.bin", "token 25001 is 256", "model.vocab_size, 256"});
}

TEST(Corpus, NoticesDataThatChanges) {
  const TemporaryFolder folder;
  const auto path = folder.write("a", bytes_of(2 << 20, 0));
  const auto config = config_for(folder);
  Corpus corpus(config, 1, 256);
  const uint64_t before = corpus.fingerprint();
  EXPECT_EQ(Corpus(config, 1, 256).fingerprint(), before);
  Sequence tokens(17);
  corpus.read_training_sequence(0, tokens.data());
  std::filesystem::resize_file(path, 1 << 20);
  expect_error([&] { corpus.read_training_sequence(1, tokens.data()); },
               {path.string(), "changed while it was in use", "2097152", "1048576"});
  std::string other = bytes_of(2 << 20, 0);
  other[1000000] = static_cast<char>(other[1000000] + 1);
  folder.write("a", other);
  EXPECT_NE(Corpus(config, 1, 256).fingerprint(), before);
  std::filesystem::remove(path);
  expect_error([&] { corpus.read_training_sequence(1, tokens.data()); },
               {"cannot open", path.string(), "No such file"});
}

/// Data above the size that is always read: its times stand for its bytes until they differ.
TEST(Corpus, ComparesTheBytesWhereATimeDiffers) {
  const TemporaryFolder folder;
  const auto path = folder.write("a", bytes_of(2 << 20, 0));
  const auto config = config_for(folder);
  const train::DataRecord record = Corpus(config, 1, 256).record();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the system's clock of files is coarse
  uint64_t read = 0;
  const auto matches = [&](const train::DataRecord& other, uint64_t always) {
    Corpus corpus(config, 1, 256);
    read = 0;
    corpus.on_reading([&](uint64_t done, uint64_t all) {
      read = done;
      EXPECT_EQ(all, 2U << 20);
    });
    const bool same = corpus.matches(other, always);
    if (same) {
      EXPECT_EQ(corpus.record().fingerprint, record.fingerprint);
    }
    return same;
  };
  EXPECT_TRUE(matches(record, 0));
  EXPECT_EQ(read, 0U) << "unchanged data needs no reading";
  EXPECT_TRUE(matches(record, 4 << 20));
  EXPECT_EQ(read, 2U << 20) << "little data is always read";
  EXPECT_TRUE(matches(train::DataRecord(record.fingerprint), 0)) << "the record of an older release";
  EXPECT_FALSE(matches(train::DataRecord(record.fingerprint + 1), 0));

  const auto time = std::filesystem::last_write_time(path);
  std::filesystem::last_write_time(path, time + std::chrono::hours(1));
  EXPECT_TRUE(matches(record, 0)) << "the same bytes, written again";
  EXPECT_EQ(read, 2U << 20);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(1 << 20);
  file.put('?');
  file.close();
  std::filesystem::last_write_time(path, time);  // as a program may set it; the system's own time stays
  EXPECT_FALSE(matches(record, 0));
}

TEST(Corpus, SaysHowDataDiffers) {
  const TemporaryFolder folder;
  folder.write("a", bytes_of(2000, 0));
  const auto config = config_for(folder);
  const train::DataRecord record = Corpus(config, 1, 256).record();
  EXPECT_EQ(record.size, "1 file, 2000 tokens");
  const auto kept = train::record_in(train::to_metadata(record));
  ASSERT_TRUE(kept && kept->times);
  EXPECT_EQ(std::tuple(kept->fingerprint, *kept->times, kept->size),
            std::tuple(record.fingerprint, *record.times, record.size));
  const auto older = train::record_in({{"data_fingerprint", "00000000000000ff"}});
  ASSERT_TRUE(older);
  EXPECT_EQ(older->fingerprint, 255U);
  EXPECT_FALSE(older->times);
  EXPECT_FALSE(train::record_in({{"data_fingerprint", "text"}}));
  EXPECT_FALSE(train::record_in({}));
  const auto difference = [&](const train::DataRecord& other) { return Corpus(config, 1, 256).difference_from(other); };
  folder.write("a", bytes_of(2000, 1));
  EXPECT_EQ(difference(record), "1 file, 2000 tokens as before, but with other bytes or in another order of files");
  folder.write("b", "text");
  EXPECT_EQ(difference(record), "1 file, 2000 tokens before; 2 files, 2004 tokens now");
  EXPECT_NE(difference(*older).find("or other bytes; now 2 files, 2004 tokens"), std::string::npos);
}

TEST(Corpus, ReadsMoreFilesThanAProcessMayHoldOpen) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  const TemporaryFolder folder;
  for (int i = 0; i < 80; ++i) {  // sparse: no file is so small that it would be kept in memory
    std::filesystem::resize_file(folder.write("shard-" + std::to_string(i) + ".bin", ""), 1 << 20);
  }
  Corpus corpus(config_for(folder), 1, 256);
  EXPECT_EQ(corpus.num_files(), 80);
  EXPECT_EQ(training_sequence(corpus, corpus.training_sequences() / 2), Sequence(17, 0));
  limit.rlim_cur = before;
  setrlimit(RLIMIT_NOFILE, &limit);
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
  const auto found = train::find_data_files(config);
  EXPECT_EQ(found.paths.size(), 1U);
  ASSERT_EQ(found.notes.size(), 1U);
  EXPECT_NE(found.notes[0].find("2 files are named more than once, and taken once: "), std::string::npos);
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
  expect_error([&] { Corpus(config, 1, 256); }, {"no files below", folder.path().string()});
  folder.write("empty", "");
  expect_error([&] { Corpus(config, 1, 256); }, {"too small", "expected at least 34 tokens", "got 0 in 1 file"});
  folder.write("small", bytes_of(20, 0));
  expect_error([&] { Corpus(config, 1, 256); }, {"too small", "got 20 in 2 files"});
  config.paths = {"/no/such/place"};
  expect_error([&] { Corpus(config, 1, 256); }, {"no such file or folder: /no/such/place"});
}

}  // namespace
}  // namespace lighthouse::test
