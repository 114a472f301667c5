#include "train/data_format.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "text/utf8.h"

namespace lighthouse::train {
namespace {

using namespace std::string_view_literals;
namespace fs = std::filesystem;

constexpr const char* kUnpack = "Unpack it first";
constexpr const char* kWriteText = "Write its text to plain files, or its tokens to a token file (lighthouse tokenize)";
constexpr const char* kWeights = "It holds weights, which --init reads; data.paths names text or files of tokens";
constexpr const char* kRaw = "Write its numbers alone, with NumPy: array.astype(\"uint16\").tofile(\"tokens.bin\")";

/// Bytes at a place that only files of one kind have there.
struct Mark {
  uint64_t offset;
  std::string_view bytes;
  const char* name;
  const char* advice;
};

constexpr std::array kMarks = {
    Mark{0, "\x93NUMPY"sv, "a NumPy array (.npy)", kRaw},
    Mark{0, "PK\x03\x04"sv, "a zip archive (.zip, .npz; torch.save writes one too)", kUnpack},
    Mark{0, "PK\x05\x06"sv, "an empty zip archive", kUnpack},
    Mark{0, "\x28\xb5\x2f\xfd"sv, "compressed (zstd)", kUnpack},
    Mark{0, "\xfd\x37zXZ\x00"sv, "compressed (xz)", kUnpack},
    Mark{0, "\x04\x22\x4d\x18"sv, "compressed (lz4)", kUnpack},
    Mark{0, "\xff\x06\x00\x00sNaPpY"sv, "compressed (snappy)", kUnpack},
    Mark{0, "LZIP\x01"sv, "compressed (lzip)", kUnpack},
    Mark{0, "7z\xbc\xaf\x27\x1c"sv, "a 7z archive", kUnpack},
    Mark{0, "Rar!\x1a\x07"sv, "a rar archive", kUnpack},
    Mark{257, "ustar\x00"sv, "a tar archive (WebDataset's shards are such)", kUnpack},
    Mark{257, "ustar  \x00"sv, "a tar archive (WebDataset's shards are such)", kUnpack},
    Mark{0, "%PDF-"sv, "a PDF", kWriteText},
    Mark{0, "SQLite format 3\x00"sv, "an SQLite database", kWriteText},
    Mark{0, "\x89HDF\r\n\x1a\n"sv, "an HDF5 file", kWriteText},
    Mark{0, "ARROW1\x00\x00"sv, "an Arrow file", kWriteText},
    Mark{0, "Obj\x01"sv, "an Avro file", kWriteText},
    Mark{0, "MMIDIDX\x00\x00"sv, "the index of Megatron's tokens (.idx)", "Put the .bin of the same name beside it"},
    Mark{0, "TNTIDX\x00\x00"sv, "the index of fairseq's tokens (.idx)", kWriteText},
    Mark{0, "GGUF\x02\x00\x00\x00"sv, "a GGUF model", kWeights},
    Mark{0, "GGUF\x03\x00\x00\x00"sv, "a GGUF model", kWeights},
    Mark{0, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"sv, "a file of torch.save", kRaw},
    Mark{0, "\x89PNG\r\n\x1a\n"sv, "a PNG picture", kWriteText},
    Mark{0,
         "\x7f"
         "ELF"sv,
         "a program or library (ELF)", kWriteText},
};

/// Of a file that is read as text: bytes that no text begins with, and words that stand for a file elsewhere.
constexpr std::array kTextMarks = {
    Mark{0, "\xff\xfe\x00\x00"sv, "UTF-32 text", "Convert it: iconv -f UTF-32 -t UTF-8"},
    Mark{0, "\x00\x00\xfe\xff"sv, "UTF-32 text", "Convert it: iconv -f UTF-32 -t UTF-8"},
    Mark{0, "\xff\xfe"sv, "UTF-16 text", "Convert it: iconv -f UTF-16 -t UTF-8"},
    Mark{0, "\xfe\xff"sv, "UTF-16 text", "Convert it: iconv -f UTF-16 -t UTF-8"},
    Mark{0, "version https://git-lfs.github.com/"sv, "a Git LFS pointer, which stands for the file",
         "Fetch the file: git lfs pull"},
    Mark{0, "/annex/objects/"sv, "a git-annex pointer, which stands for the file", "Fetch the file: git annex get"},
    Mark{0, "\xff\xd8\xff"sv, "a JPEG picture", kWriteText},
    Mark{0, "GIF87a"sv, "a GIF picture", kWriteText},
    Mark{0, "GIF89a"sv, "a GIF picture", kWriteText},
    Mark{0, "\x1f\x9d"sv, "compressed (.Z)", kUnpack},
};

/// Endings that no text has.
constexpr std::array kOtherNames = {".npy",     ".npz",         ".pt",     ".pth", ".ckpt", ".pkl",      ".pickle",
                                    ".gz",      ".zst",         ".xz",     ".bz2", ".lz4",  ".zip",      ".tar",
                                    ".tgz",     ".7z",          ".rar",    ".pdf", ".idx",  ".parquet",  ".arrow",
                                    ".feather", ".safetensors", ".gguf",   ".h5",  ".hdf5", ".tfrecord", ".tfrecords",
                                    ".mds",     ".ds",          ".memmap", ".orc", ".avro", ".sqlite"};

[[noreturn]] void refuse(const fs::path& path, const std::string& name, const std::string& advice) {
  throw OtherFormat(path.string() + " is " + name + ", which is neither text nor tokens as they are read here. " +
                    advice);
}

template <size_t N>
void refuse_marked(const fs::path& path, const FileSample& sample, const std::array<Mark, N>& marks) {
  for (const Mark& mark : marks) {
    if (sample.head().size() >= mark.offset && sample.head().substr(mark.offset).starts_with(mark.bytes)) {
      refuse(path, mark.name, mark.advice);
    }
  }
}

uint8_t byte_at(const FileSample& sample, size_t index) {
  return index < sample.head().size() ? static_cast<uint8_t>(sample.head()[index]) : 0;
}

/// Two bytes are few: the fields after them are compared too.
bool is_gzip(const FileSample& sample) {
  constexpr uint8_t kKnownFlags = 0x1f;
  constexpr uint8_t kLastSystem = 13;
  return sample.head().starts_with("\x1f\x8b\x08") && sample.size >= 18 && byte_at(sample, 3) <= kKnownFlags &&
         (byte_at(sample, 8) & ~6) == 0 && (byte_at(sample, 9) <= kLastSystem || byte_at(sample, 9) == 255);
}

bool is_bzip2(const FileSample& sample) {
  return sample.head().starts_with("BZh") &&
         sample.head().substr(std::min<size_t>(4, sample.head().size())).starts_with("1AY&SY");
}

/// A header's length, then JSON.
bool is_safetensors(const FileSample& sample) {
  const auto length = sample.number<uint64_t>(0);
  return length >= 2 && length <= sample.size - std::min<uint64_t>(sample.size, 8) && byte_at(sample, 8) == '{' &&
         (byte_at(sample, 9) == '"' || byte_at(sample, 9) == '}');
}

/// Streams of Arrow, as the datasets library keeps: a mark of ones, then the length of a message whose root is near.
bool is_arrow_stream(const FileSample& sample) {
  const auto length = sample.number<uint32_t>(1);
  return sample.number<uint32_t>(0) == UINT32_MAX && length >= 8 && length % 8 == 0 && length < sample.size &&
         sample.number<uint32_t>(2) >= 4 && sample.number<uint32_t>(2) <= 64;
}

/// A pickle of protocol 4 or 5: a frame with its length.
bool is_framed_pickle(const FileSample& sample) {
  if (!sample.head().starts_with("\x80\x04\x95") && !sample.head().starts_with("\x80\x05\x95")) return false;
  uint64_t length = 0;
  for (size_t i = 0; i < 8; ++i) length |= uint64_t{byte_at(sample, 3 + i)} << (8 * i);
  return length > 0 && length <= sample.size;
}

bool is_old_pickle(const FileSample& sample) {
  return sample.tail(1) == "." && (sample.head().starts_with("\x80\x02") || sample.head().starts_with("\x80\x03"));
}

/// Shards of MosaicML's streaming and of litdata: the count of samples, where each begins, and where the last one ends,
/// which is the file's end. Of a table that is longer than the sample, its numbers must rise.
bool is_shard_of_samples(const FileSample& sample) {
  const auto count = sample.number<uint32_t>(0);
  const uint64_t table = (uint64_t{count} + 2) * 4;
  const auto first = sample.number<uint32_t>(1);
  if (count == 0 || table >= sample.size || first < table || first >= sample.size) return false;
  if (table <= sample.head().size()) return sample.number<uint32_t>(count + 1) == sample.size;
  constexpr uint64_t kLongestDescription = 64 << 10;
  const size_t numbers = sample.head().size() / 4;
  if (first > table + kLongestDescription || numbers < 256) return false;
  for (size_t i = 2; i < numbers; ++i) {
    if (sample.number<uint32_t>(i) < sample.number<uint32_t>(i - 1)) return false;
  }
  return sample.number<uint32_t>(numbers - 1) < sample.size;
}

/// Zeros at every second byte, or at three of four, and hardly elsewhere: letters of two or four bytes.
const char* wide_text(const FileSample& sample) {
  std::array<uint64_t, 4> zeros{};
  uint64_t bytes = 0;
  for (const auto& piece : sample.pieces) {
    for (size_t i = 0; i < piece.bytes.size(); ++i) zeros[i % 4] += piece.bytes[i] == '\0' ? 1 : 0;
    bytes += piece.bytes.size();
  }
  if (bytes < 16) return nullptr;
  const auto most = [&](size_t place) { return zeros[place] * 4 * 10 >= bytes * 8; };
  const auto few = [&](size_t place) { return zeros[place] * 4 * 100 <= bytes; };
  if ((few(0) && most(1) && most(2) && most(3)) || (most(0) && most(1) && most(2) && few(3))) return "UTF-32";
  if ((few(0) && most(1) && few(2) && most(3)) || (most(0) && few(1) && most(2) && few(3))) return "UTF-16";
  return nullptr;
}

/// The JSON that holds a tokenizer, which is no text to learn.
bool is_tokenizer(const fs::path& path, const FileSample& sample) {
  const std::string& head = sample.head();
  return path.filename() == "tokenizer.json" && head.starts_with('{') &&
         (head.find("\"added_tokens\"") != std::string::npos || head.find("\"model\"") != std::string::npos);
}

}  // namespace

std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return extension;
}

void expect_no_other_format(const fs::path& path, const FileSample& sample) {
  refuse_marked(path, sample, kMarks);
  if (is_bzip2(sample)) refuse(path, "compressed (bzip2)", kUnpack);
  if (is_gzip(sample)) refuse(path, "compressed (gzip)", kUnpack);
  if (is_safetensors(sample)) refuse(path, "a safetensors file", kWeights);
  if (is_arrow_stream(sample)) refuse(path, "an Arrow stream", kWriteText);
  if (is_framed_pickle(sample)) refuse(path, "a pickle", kRaw);
  if (is_shard_of_samples(sample)) refuse(path, "a shard of samples (MosaicML's MDS, or litdata)", kRaw);
  if (sample.head().starts_with("PAR1") && sample.tail(4) == "PAR1") refuse(path, "a Parquet file", kWriteText);
  if (sample.head().starts_with("ORC") && sample.tail(4).starts_with("ORC")) refuse(path, "an ORC file", kWriteText);
}

void expect_text(const fs::path& path, const FileSample& sample, bool by_name) {
  expect_no_other_format(path, sample);
  refuse_marked(path, sample, kTextMarks);
  if (is_old_pickle(sample)) refuse(path, "a pickle", kRaw);
  if (is_tokenizer(path, sample)) refuse(path, "a tokenizer", "data.exclude = [\"tokenizer.json\"] passes it over");
  if (const char* encoding = wide_text(sample)) {
    refuse(path, std::string(encoding) + " text, or numbers",
           std::string("Convert text: iconv -f ") + encoding + "LE -t UTF-8. Name files of token numbers .bin");
  }
  const std::string extension = lower_extension(path);
  if (by_name && std::find(kOtherNames.begin(), kOtherNames.end(), extension) != kOtherNames.end()) {
    throw OtherFormat(path.string() + " is no text by its name (" + extension +
                      "), and its bytes say nothing else. If it holds numbers of tokens and nothing else, set "
                      "data.format to \"uint16\" or \"uint32\"; if it is text, to \"text\"");
  }
}

bool looks_like_text(const FileSample& sample) {
  constexpr size_t kEnough = 128;
  size_t bytes = 0;
  for (const auto& piece : sample.pieces) {
    bytes += piece.bytes.size();
    const bool controls = std::any_of(piece.bytes.begin(), piece.bytes.end(), [](unsigned char c) {
      return (c < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f') || c == 0x7F;
    });
    if (controls) return false;
  }
  return bytes >= kEnough && is_utf8(sample);
}

bool is_utf8(const FileSample& sample) {
  for (const auto& piece : sample.pieces) {
    std::string_view left = piece.bytes;
    // A piece may begin within a letter, and end within one.
    for (int i = 0; piece.offset > 0 && i < 3 && !left.empty() && (left.front() & 0xC0) == 0x80; ++i) {
      left.remove_prefix(1);
    }
    const bool cut = piece.offset + piece.bytes.size() < sample.size;
    while (left.size() > (cut ? size_t{3} : size_t{0})) {
      const size_t letter = left.front() == '\0' ? 0 : text::letter_size(left);
      if (letter == 0) return false;
      left.remove_prefix(letter);
    }
  }
  return true;
}

}  // namespace lighthouse::train
