// Megatron's pairs of .bin and .idx, written here.
#include <cstring>
#include <random>

#include "temporary_folder.h"
#include "train/corpus.h"
#include "train/token_source.h"

namespace lighthouse::test {
namespace {

using train::DataFormat;
using train::TokenSource;

constexpr int64_t kVocabulary = 1 << 16;

template <typename T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

/// An index, part by part, so that each can be wrong.
struct Index {
  std::string magic = std::string("MMIDIDX\0\0", 9);
  uint64_t version = 1;
  uint8_t type = 8;
  std::vector<int32_t> lengths;
  std::vector<int64_t> pointers;
  std::vector<int64_t> bounds;
  std::string rest;

  std::string bytes() const {
    std::string out = magic;
    append(out, version);
    append(out, type);
    append(out, static_cast<uint64_t>(lengths.size()));
    append(out, static_cast<uint64_t>(bounds.size()));
    for (const auto value : lengths) append(out, value);
    for (const auto value : pointers) append(out, value);
    for (const auto value : bounds) append(out, value);
    return out + rest;
  }
};

/// Of sequences of the given lengths, a document each.
Index index_of(uint8_t type, int64_t size, const std::vector<int32_t>& lengths) {
  Index index;
  index.type = type;
  index.lengths = lengths;
  index.bounds = {0};
  int64_t pointer = 0;
  for (const int32_t length : lengths) {
    index.pointers.push_back(pointer);
    index.bounds.push_back(static_cast<int64_t>(index.pointers.size()));
    pointer += length * size;
  }
  return index;
}

template <typename T>
std::string bytes_of(const std::vector<int64_t>& tokens) {
  std::string bytes;
  for (const int64_t token : tokens) append(bytes, static_cast<T>(token));
  return bytes;
}

std::vector<int64_t> read(const TokenSource& source) {
  std::vector<int64_t> tokens(static_cast<size_t>(source.num_tokens()));
  source.read(0, source.num_tokens(), tokens.data());
  return tokens;
}

TEST(Megatron, ReadsEveryTypeOfToken) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const TemporaryFolder folder;
  const auto check = [&](uint8_t type, auto zero, const std::string& name) {
    using T = decltype(zero);
    std::vector<int32_t> lengths;
    std::vector<int64_t> tokens;
    for (int i = 0; i < 20; ++i) {
      lengths.push_back(static_cast<int32_t>(random() % 9));
      for (int32_t j = 0; j < lengths.back(); ++j) tokens.push_back(static_cast<int64_t>(random() % 120));
    }
    const auto path = folder.write(name + ".bin", bytes_of<T>(tokens));
    folder.write(name + ".idx", index_of(type, sizeof(T), lengths).bytes());
    EXPECT_EQ(read({path, DataFormat::kAuto, kVocabulary}), tokens) << name;
    EXPECT_EQ(read({path, DataFormat::kMegatron, kVocabulary}), tokens) << name;
  };
  check(1, uint8_t{}, "a");
  check(3, int16_t{}, "b");
  check(4, int32_t{}, "c.d");
  check(5, int64_t{}, "e");
  check(8, uint16_t{}, "f");
  const std::vector<int64_t> large = {50256, 65535};
  folder.write("g.idx", index_of(8, 2, {2}).bytes());
  EXPECT_EQ(read({folder.write("g.bin", bytes_of<uint16_t>(large)), DataFormat::kAuto, kVocabulary}), large);
  folder.write("h.idx", index_of(4, 4, {2}).bytes());
  const auto negative = folder.write("h.bin", bytes_of<int32_t>({7, -1}));
  expect_error([&] { TokenSource(negative, DataFormat::kAuto, kVocabulary); },
               {"h.bin", "token 1 is -1", "expected one from 0"});
  folder.write("i.idx", index_of(3, 2, {2}).bytes());
  const auto narrow = folder.write("i.bin", bytes_of<int16_t>({7, -2}));
  expect_error([&] { TokenSource(narrow, DataFormat::kAuto, kVocabulary); },
               {"i.bin", "token 1 is -2", "expected one from 0"});
}

TEST(Megatron, PairsAreFoundByAnyName) {
  const TemporaryFolder folder;
  const std::string tokens = bytes_of<uint16_t>(std::vector<int64_t>(100, 3));
  folder.write("data/a.bin", tokens);
  folder.write("data/a.idx", index_of(8, 2, {60, 40}).bytes());
  folder.write("data/text", "not of the pair");
  train::DataConfig config;
  const auto found = [&](const std::string& name, DataFormat format) {
    config.paths = {(folder.path() / name).string()};
    config.format = format;
    std::vector<std::string> names;
    for (const auto& path : train::find_files(config)) names.push_back(path.filename().string());
    return names;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(found("data", DataFormat::kAuto), (Names{"a.bin", "text"}));
  EXPECT_EQ(found("data/a.bin", DataFormat::kAuto), (Names{"a.bin"}));
  EXPECT_EQ(found("data/a.idx", DataFormat::kAuto), (Names{"a.bin"}));
  EXPECT_EQ(found("data/a", DataFormat::kMegatron), (Names{"a.bin"}));
  EXPECT_EQ(found("data", DataFormat::kText), (Names{"a.bin", "a.idx", "text"}));
  expect_error([&] { found("data/a", DataFormat::kAuto); }, {"no such file or folder", "data/a"});

  config.paths = {(folder.path() / "data" / "a.idx").string()};
  config.format = DataFormat::kAuto;
  config.context_length = 16;
  train::Corpus corpus(config, 1, 256);
  EXPECT_EQ(corpus.num_tokens(), 100);
}

TEST(Megatron, NamesWhatDoesNotFit) {
  const TemporaryFolder folder;
  const auto path = folder.write("a.bin", bytes_of<uint16_t>({1, 2, 3, 4, 5}));
  const auto expect = [&](const Index& index, const std::string& what) {
    folder.write("a.idx", index.bytes());
    expect_error([&] { TokenSource(path, DataFormat::kAuto, kVocabulary); }, {"a.idx: ", what});
  };
  const Index right = index_of(8, 2, {2, 0, 3});
  folder.write("a.idx", right.bytes());
  EXPECT_EQ(TokenSource(path, DataFormat::kAuto, kVocabulary).num_tokens(), 5);
  Index wrong = right;
  wrong.magic[0] = 'X';
  expect(wrong, "expected a Megatron index, a file that begins with MMIDIDX");
  wrong = right;
  wrong.version = 2;
  expect(wrong, "expected version 1 of the index; got 2");
  wrong = right;
  wrong.type = 7;
  expect(wrong, "expected tokens of type 1 (uint8), 3 (int16), 4 (int32), 5 (int64) or 8 (uint16); got 7");
  wrong = right;
  wrong.rest = "x";
  expect(wrong, "3 sequences and 4 document bounds; the file's 103 bytes hold another number");
  wrong = right;
  wrong.lengths[2] = 4;
  expect(wrong, "its sequences end at byte 12; " + path.string() + " has 10");
  wrong = right;
  wrong.lengths[0] = -1;
  expect(wrong, "sequence 0 has a length of -1");
  wrong = right;
  wrong.pointers[2] = 6;
  expect(wrong, "sequence 2 begins at byte 6; expected 4, where the one before it ends");
  wrong = right;
  wrong.bounds[1] = 4;
  expect(wrong, "document bound 1 is 4; expected 0 to 3");
  wrong = right;
  wrong.bounds[3] = 1;
  expect(wrong, "document bound 3 is 1; expected 2 to 3");

  // Counts that no file could hold, and a file that ends in its header.
  std::string bytes = right.bytes();
  const uint64_t many = UINT64_MAX / 4;
  std::memcpy(bytes.data() + 18, &many, sizeof(many));
  folder.write("a.idx", bytes);
  expect_error([&] { TokenSource(path, DataFormat::kAuto, kVocabulary); }, {"a.idx", "hold another number"});
  folder.write("a.idx", right.bytes().substr(0, 30));
  expect_error([&] { TokenSource(path, DataFormat::kAuto, kVocabulary); }, {"a.idx", "got 30 bytes"});
  std::filesystem::remove(folder.path() / "a.idx");
  expect_error([&] { TokenSource(path, DataFormat::kMegatron, kVocabulary); }, {"cannot open", "a.idx"});
}

}  // namespace
}  // namespace lighthouse::test
