// What data files are taken for: other formats, numbers of another width, text of models that have none.
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <random>

#include "huggingface/byte_tokenizer.h"
#include "temporary_folder.h"
#include "train/corpus.h"
#include "train/data_format.h"

namespace lighthouse::test {
namespace {

using train::Corpus;
using train::DataConfig;
using train::DataFormat;
using namespace std::string_literals;

template <typename T>
std::string as_bytes(const std::vector<T>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)};
}

/// Tokens below `bound`, the same every time.
template <typename T>
std::vector<T> some_tokens(size_t count, uint32_t bound) {
  std::mt19937 random(7);
  std::vector<T> tokens(count);
  for (auto& token : tokens) token = static_cast<T>(random() % bound);
  return tokens;
}

DataConfig data_in(const std::filesystem::path& path, DataFormat format = DataFormat::kAuto) {
  DataConfig config;
  config.paths = {path.string()};
  config.format = format;
  config.context_length = 16;
  config.validation_fraction = 0.2;
  return config;
}

std::string tar_header() {
  std::string header(512, '\0');
  header.replace(0, 5, "a.txt");
  header.replace(257, 6, "ustar\0"s);
  return header;
}

/// Two samples behind a table of where they are, as MosaicML's and litdata's shards have it.
std::string shard_of_samples(size_t count) {
  std::vector<uint32_t> table = {static_cast<uint32_t>(count)};
  const auto first = static_cast<uint32_t>(4 * (count + 2));
  for (size_t i = 0; i <= count; ++i) table.push_back(first + static_cast<uint32_t>(i * 40));
  return as_bytes(table) + std::string(count * 40, 'x');
}

TEST(DataFormat, OtherFormatsAreRefusedByName) {
  const TemporaryFolder folder;
  const std::string rest(400, '\x01');
  const std::vector<std::pair<std::string, std::string>> files = {
      {"\x93NUMPY\x01\x00v\x00"s, "a NumPy array (.npy)"},
      {"PK\x03\x04\x14\x00"s, "a zip archive"},
      {"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"s, "compressed (gzip)"},
      {"\x28\xb5\x2f\xfd\x04"s, "compressed (zstd)"},
      {"\xfd\x37zXZ\x00\x00\x04"s, "compressed (xz)"},
      {"BZh91AY&SY"s, "compressed (bzip2)"},
      {"\x04\x22\x4d\x18\x60"s, "compressed (lz4)"},
      {"7z\xbc\xaf\x27\x1c"s, "a 7z archive"},
      {tar_header(), "a tar archive"},
      {"%PDF-1.7\n"s, "a PDF"},
      {"SQLite format 3\x00"s, "an SQLite database"},
      {"\x89HDF\r\n\x1a\n"s, "an HDF5 file"},
      {"ARROW1\x00\x00"s, "an Arrow file"},
      {"\xff\xff\xff\xff\x08\x01\x00\x00\x10\x00\x00\x00"s, "an Arrow stream"},
      {"GGUF\x03\x00\x00\x00"s, "a GGUF model"},
      {"\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":{}}        "s, "a safetensors file"},
      {"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00"s, "a pickle"},
      {"MMIDIDX\x00\x00"s, "the index of Megatron's tokens"},
      {"Obj\x01"s, "an Avro file"},
  };
  for (const auto& [start, name] : files) {
    for (const std::string& file : {"data.bin"s, "data.txt"s}) {
      const auto path = folder.write(file, start + rest);
      expect_error([&] { train::TokenSource(path, DataFormat::kAuto, 65536); },
                   {path.string() + " is " + name, "neither text nor tokens"});
    }
    const auto path = folder.write("data", start + rest);
    EXPECT_EQ(train::TokenSource(path, DataFormat::kBytes, 256).num_bytes(), start.size() + rest.size());
    expect_error([&] { train::TokenSource(path, DataFormat::kUint16, 65536); }, {name});
    expect_error([&] { train::TokenSource(path, DataFormat::kText, 256); }, {name});
  }
  const auto parquet = folder.write("data.bin", "PAR1" + rest + "PAR1");
  expect_error([&] { train::TokenSource(parquet, DataFormat::kAuto, 65536); }, {"a Parquet file"});
  for (const size_t count : {2U, 5000U}) {
    const auto shard = folder.write("chunk-0-0.bin", shard_of_samples(count));
    expect_error([&] { train::TokenSource(shard, DataFormat::kAuto, 65536); }, {"a shard of samples", "litdata"});
  }
}

TEST(DataFormat, WhatIsNoTextIsRefusedByName) {
  const TemporaryFolder folder;
  const std::string letters = "some words of a text\n";
  const auto wide = [&](size_t width, size_t place) {
    std::string out;
    for (const char c : letters) {
      std::string unit(width, '\0');
      unit[place] = c;
      out += unit;
    }
    return out;
  };
  const auto refused = [&](const std::string& name, const std::string& bytes, const std::vector<std::string>& words) {
    const auto path = folder.write(name, bytes);
    expect_error([&] { train::TokenSource(path, DataFormat::kAuto, 256); }, words);
  };
  refused("a.txt", "\xff\xfe"s + wide(2, 0), {"UTF-16 text", "iconv"});
  refused("a.txt", "\xfe\xff"s + wide(2, 1), {"UTF-16 text"});
  refused("a.txt", "\xff\xfe\x00\x00"s + wide(4, 0), {"UTF-32 text"});
  refused("a.txt", wide(2, 0), {"UTF-16 text"});
  refused("a.txt", wide(2, 1), {"UTF-16 text"});
  refused("a.txt", wide(4, 3), {"UTF-32 text"});
  refused("a.txt", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", {"a Git LFS pointer", "git lfs pull"});
  refused("a", "\x80\x02]q\x00(K\x01e."s, {"a pickle"});
  refused("tokenizer.json", "{\"version\": \"1.0\", \"added_tokens\": []}", {"a tokenizer"});
  // Names of numbers: raw numbers in them are not text.
  refused("part.npy", as_bytes(some_tokens<uint16_t>(200, 60000)), {"no text by its name (.npy)", "\"uint16\""});
  refused("part.ds", as_bytes(some_tokens<uint16_t>(200, 60000)), {"no text by its name (.ds)"});
  const auto raw = folder.write("part.npy", as_bytes(some_tokens<uint16_t>(200, 60000)));
  EXPECT_EQ(train::TokenSource(raw, DataFormat::kUint16, 60000).num_tokens(), 200);

  // Text is bytes as they stand: a byte-order mark, line ends of Windows and Latin-1 are read, and said.
  const train::TokenSource marked(folder.write("b.txt",
                                               "\xEF\xBB\xBF"
                                               "a\r\n"),
                                  DataFormat::kAuto, 256);
  EXPECT_EQ(marked.num_tokens(), 6);
  EXPECT_EQ(marked.remark(), "begins with a byte-order mark, which is read as text");
  EXPECT_EQ(train::TokenSource(folder.write("c.txt", "zweiter é – 中\n"), DataFormat::kAuto, 256).remark(), "");
  EXPECT_NE(train::TokenSource(folder.write("d.txt", "caf\xe9\n"), DataFormat::kAuto, 256).remark().find("no UTF-8"),
            std::string::npos);
  std::string text;  // letters of several bytes across the pieces of a sample
  while (text.size() < 200000) text += "中é";
  EXPECT_EQ(train::TokenSource(folder.write("e.txt", text), DataFormat::kAuto, 256).remark(), "");
}

TEST(DataFormat, NumbersOfAnotherWidthAreRefused) {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& bytes, DataFormat format, int64_t vocab_size,
                           const std::vector<std::string>& words) {
    const auto path = folder.write("tokens.bin", bytes);
    expect_error([&] { train::TokenSource(path, format, vocab_size); }, words);
  };
  const auto narrow = some_tokens<uint16_t>(40000, 50000);
  const auto wide = some_tokens<uint32_t>(40000, 50000);
  const auto large = some_tokens<uint32_t>(40000, 100000);
  const auto longest = some_tokens<int64_t>(40000, 50000);
  refused(as_bytes(wide), DataFormat::kAuto, 50257, {"every other one is 0", "uint32 or int32", "\"uint32\""});
  refused(as_bytes(wide), DataFormat::kUint16, 50257, {"uint32 or int32"});
  refused(as_bytes(longest), DataFormat::kAuto, 50257, {"look like int64, which is not read"});
  refused(as_bytes(longest), DataFormat::kUint32, 50257, {"look like int64"});
  refused(as_bytes(longest), DataFormat::kAuto, 100000, {"look like int64"});
  refused(as_bytes(some_tokens<uint32_t>(40, 50000)), DataFormat::kAuto, 50257, {"uint32 or int32"});
  // A vocabulary that does not fit uint16 asks for uint32: a file of uint16 then holds numbers that are no tokens.
  refused(as_bytes(narrow), DataFormat::kAuto, 70002,
          {"token 0 is", "model.vocab_size, 70002", "as uint16 its numbers"});
  refused(as_bytes(narrow), DataFormat::kUint32, 70002, {"as data.format says", "data.format = \"uint16\""});
  refused(as_bytes(large), DataFormat::kUint16, 50257, {"is", "model.vocab_size, 50257"});
  EXPECT_EQ(train::TokenSource(folder.write("tokens.bin", as_bytes(large)), DataFormat::kAuto, 100000).format_name(),
            "uint32");
  EXPECT_EQ(train::TokenSource(folder.write("tokens.bin", as_bytes(wide)), DataFormat::kUint32, 50257).num_tokens(),
            40000);
  // The other byte order.
  auto turned = narrow;
  for (auto& token : turned) token = static_cast<uint16_t>(token << 8 | token >> 8);
  refused(as_bytes(turned), DataFormat::kAuto, 50000, {"look big-endian", "astype(\"<u2\")"});
  auto turned_wide = wide;
  for (auto& token : turned_wide) token = __builtin_bswap32(token);
  refused(as_bytes(turned_wide), DataFormat::kUint32, 50000, {"look big-endian", "astype(\"<u4\")"});
  // Text under the name of numbers, and a file that was cut within a token.
  std::string text;
  while (text.size() < 1000) text += "all work and no play\n";
  refused(text, DataFormat::kAuto, 65536, {"looks like text", "data.format = \"text\""});
  std::string letters;
  while (letters.size() < 1000) letters += "中é";
  refused(letters, DataFormat::kAuto, 65536, {"looks like text"});
  const auto one = folder.write("one.bin", as_bytes(std::vector<uint16_t>(5000, 300)));
  EXPECT_EQ(train::TokenSource(one, DataFormat::kAuto, 301).num_tokens(), 5000) << "its bytes are UTF-8 as well";
  refused(text, DataFormat::kUint16, 256, {"is 27745", "looks like text"});
  refused(as_bytes(large) + "x", DataFormat::kAuto, 100000, {"tokens of 4 bytes (uint32); got 160001 bytes"});
  // Samples of a large file find what its start does not show.
  auto late = some_tokens<uint16_t>(1 << 20, 50000);
  late.back() = 60000;
  refused(as_bytes(late), DataFormat::kAuto, 50257, {"token 1048575 is 60000"});
  EXPECT_EQ(train::TokenSource(folder.write("zeros.bin", std::string(4096, '\0')), DataFormat::kAuto, 256).num_tokens(),
            2048);
}

TEST(DataFormat, TextIsForModelsOfBytes) {
  const TemporaryFolder folder;
  std::string text;
  while (text.size() < 2000) text += "all work and no play\n";
  const auto path = folder.write("a.txt", text);
  for (const DataFormat format : {DataFormat::kAuto, DataFormat::kText, DataFormat::kBytes}) {
    expect_error([&] { Corpus(data_in(path, format), 1, 50304); },
                 {path.string() + " is text", "the model's 50304 tokens are not bytes", "lighthouse tokenize"});
  }
  EXPECT_TRUE(Corpus(data_in(path), 1, 256).notes().empty());
  const Corpus special(data_in(path), 1, 300);  // of bytes, with room for special tokens
  ASSERT_EQ(special.notes().size(), 1U);
  EXPECT_NE(special.notes()[0].find("of the vocabulary's 300 tokens the first 256"), std::string::npos);
  EXPECT_TRUE(special.is_all_text());
  EXPECT_EQ(special.formats(), "text");
  folder.write("tokens.bin", as_bytes(some_tokens<uint16_t>(500, 50000)));
  expect_error([&] { Corpus(data_in(folder.path()), 1, 50304); },
               {"a.txt is text", "50304 tokens are not bytes", "data.include = [\"*.bin\"]"});
  auto config = data_in(folder.path());
  config.include = {"*.bin"};
  EXPECT_EQ(Corpus(config, 1, 50304).formats(), "uint16");
  folder.write("small.bin", as_bytes(some_tokens<uint16_t>(500, 250)));
  config.include = {"*.txt", "small.bin"};
  EXPECT_EQ(Corpus(config, 1, 256).formats(), "1 of text, 1 of uint16");
}

TEST(DataFormat, ATokenizerSaysWhatAModelReads) {
  const TemporaryFolder folder;
  train::RunConfig config;
  config.model.vocab_size = 256;
  EXPECT_TRUE(huggingface::reads_bytes(config, {}));
  config.model.vocab_size = 320;
  EXPECT_FALSE(huggingface::reads_bytes(config, {}));
  expect_error([&] { huggingface::expect_bytes(config, {}, "do that"); },
               {"the model's 320 tokens are not bytes; do that"});
  config.data.format = DataFormat::kText;
  EXPECT_TRUE(huggingface::reads_bytes(config, {}));
  folder.write("merges.txt", "");
  EXPECT_FALSE(huggingface::reads_bytes(config, folder.path())) << "a tokenizer of another kind";
  folder.write("tokenizer.json", huggingface::byte_tokenizer_json());
  config.data.format = DataFormat::kAuto;
  EXPECT_TRUE(huggingface::reads_bytes(config, folder.path()));
  folder.write("tokenizer.json", R"({"model": {"vocab": {"a": 0}, "merges": []}, "added_tokens": []})");
  config.model.vocab_size = 256;
  EXPECT_FALSE(huggingface::reads_bytes(config, folder.path())) << "256 tokens that are not bytes";
}

TEST(DataFormat, StrangersInFoldersAreNamedTogether) {
  const TemporaryFolder folder;
  folder.write("a.txt", std::string(2000, 'a'));
  folder.write("b.gz", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"s + std::string(100, '\x01'));
  folder.write("c.npy", "\x93NUMPY\x01\x00"s + std::string(100, '\x01'));
  folder.write("d.npy", "\x93NUMPY\x01\x00"s + std::string(100, '\x01'));
  expect_error([&] { Corpus(data_in(folder.path()), 1, 256); },
               {"2 more files are refused", "data.exclude = [\"*.gz\", \"*.npy\"]"});
  auto config = data_in(folder.path());
  config.exclude = {"*.gz", "*.npy"};
  EXPECT_EQ(Corpus(config, 1, 256).num_files(), 1);
  for (int i = 0; i < 9; ++i) folder.write("x.p" + std::to_string(i), "%PDF-1.7"s);
  expect_error([&] { Corpus(data_in(folder.path()), 1, 256); }, {"11 more files are refused", "data.include"});
  folder.write("key.bin", "odd");
  config.exclude.emplace_back("x.*");
  expect_error([&] { Corpus(config, 1, 256); }, {"key.bin: expected tokens of 2 bytes", "data.exclude passes over"});
}

std::string joined_notes(const std::vector<std::string>& notes) {
  std::string text;
  for (const auto& note : notes) text += note + "\n";
  return text;
}

TEST(DataFiles, RunsAndHiddenFilesAreNoData) {
  const TemporaryFolder folder;
  namespace fs = std::filesystem;
  const std::string text(2000, 'a');
  folder.write("data/a.txt", text);
  folder.write("data/.git/objects/x", text);
  folder.write("data/.hidden", text);
  folder.write("data/__pycache__/x.pyc", text);
  folder.write("data/run/config.toml", text);
  folder.write("data/other/config.toml", text);
  folder.write("data/other/metrics.jsonl", text);
  fs::create_symlink("gone", folder.path() / "data" / "broken");
  fs::create_symlink("loop", folder.path() / "data" / "loop");
  fs::create_directory_symlink(folder.path() / "data", folder.path() / "link");
  fs::create_directory_symlink(folder.path(), folder.path() / "data" / "up");
  ASSERT_EQ(mkfifo((folder.path() / "data" / "pipe").c_str(), 0600), 0);
  const auto config = data_in(folder.path() / "link");
  const auto found = train::find_data_files(config, {folder.path() / "data" / "run"});
  ASSERT_EQ(found.paths.size(), 1U) << joined_notes(found.notes);
  EXPECT_EQ(found.paths[0].filename(), "a.txt");
  const std::string notes = joined_notes(found.notes);
  for (const char* words :
       {"2 folders of runs are no data", "3 hidden files and folders were passed over",
        "1 link to a folder was not followed", "2 links lead nowhere", "1 pipe, socket or device"}) {
    EXPECT_NE(notes.find(words), std::string::npos) << words << " is not in:\n" << notes;
  }
  // What is named is read, and a run may lie within its data but not be it.
  EXPECT_EQ(train::find_files(data_in(folder.path() / "data" / ".hidden")).size(), 1U);
  EXPECT_EQ(train::find_files(data_in(folder.path() / "data" / ".git")).size(), 1U);
  expect_error([&] { train::find_data_files(config, {folder.path() / "data"}); },
               {"the run's own folder", "output_dir"});
  EXPECT_EQ(train::find_data_files(data_in(folder.path() / "data" / "__pycache__"), {folder.path()}).paths.size(), 1U);
}

TEST(DataFiles, EachPathThatCannotBeReadIsNamed) {
  const TemporaryFolder folder;
  namespace fs = std::filesystem;
  fs::create_symlink("gone", folder.path() / "broken");
  fs::create_symlink("loop", folder.path() / "loop");
  ASSERT_EQ(mkfifo((folder.path() / "pipe").c_str(), 0600), 0);
  const auto refused = [&](const std::string& name, const std::vector<std::string>& words) {
    expect_error([&] { Corpus(data_in(name.starts_with('/') ? name : (folder.path() / name).string()), 1, 256); },
                 words);
  };
  refused("none", {"no such file or folder", "none"});
  refused("*.txt", {"no such file or folder", "Patterns are for data.include"});
  auto slash = data_in(folder.path());
  slash.exclude = {"build/"};
  expect_error([&] { train::find_files(slash); },
               {"data.exclude must have patterns of names", "without a slash; got \"build/\""});
  refused("broken", {"no such file or folder", "is a link to gone, which leads nowhere"});
  refused("loop", {"loop", "Too many levels of symbolic links"});
  refused("pipe", {"pipe is not a regular file: it is a pipe"});
  refused("/dev/null", {"/dev/null is not a regular file: it is a device"});
}

TEST(DataFiles, SaysWhatItTakesThatWasNotAskedFor) {
  const TemporaryFolder folder;
  const auto path = folder.write("a", std::string(200, 'a'));
  folder.write("empty", "");
  auto config = data_in(folder.path());
  config.validation_fraction = 0.01;
  const std::string notes = joined_notes(Corpus(config, 1, 256).notes());
  EXPECT_NE(notes.find("data.validation_fraction of 200 tokens is 2, less than a sequence: 17 are held out"),
            std::string::npos);
  EXPECT_NE(notes.find("1 file is empty"), std::string::npos);
  config.validation_fraction = 0;
  config.context_length = 200;
  expect_error([&] { Corpus(config, 1, 256); },
               {"too small: expected at least 201 tokens (a training sequence of 201); got 200 in 2 files"});
}

}  // namespace
}  // namespace lighthouse::test
