// The corpus over tokens that are their own positions, so that each row says where it is from.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "temporary_folder.h"
#include "train/corpus.h"

namespace lighthouse::test {
namespace {

using Row = std::vector<int64_t>;

constexpr int64_t kContext = 16;

void write_numbers(const TemporaryFolder& folder, const std::string& name, uint16_t first, size_t count) {
  std::vector<uint16_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), first);
  folder.write(name, {reinterpret_cast<const char*>(numbers.data()), count * sizeof(uint16_t)});
}

train::Corpus corpus_of(const TemporaryFolder& folder, double validation_fraction) {
  train::DataConfig config;
  config.paths = {folder.path().string()};
  config.format = train::DataFormat::kUint16;
  config.context_length = kContext;
  config.validation_fraction = validation_fraction;
  return {config, 1, 65536};
}

std::vector<Row> training_rows(train::Corpus& corpus) {
  std::vector<Row> rows;
  for (int64_t i = 0; i < corpus.training_sequences(); ++i)
    corpus.read_training_sequence(i, rows.emplace_back(kContext + 1).data());
  return rows;
}

std::vector<int64_t> held_out_begins(const train::Corpus& corpus, int64_t count) {
  std::vector<int64_t> begins;
  for (int64_t i = 0; i < count; ++i) {
    Row row(kContext + 1);
    corpus.read_validation_sequence(i, count, row.data());
    for (size_t j = 0; j < row.size(); ++j) EXPECT_EQ(row[j], row.front() + static_cast<int64_t>(j));
    begins.push_back(row.front());
  }
  return begins;
}

int64_t last_token(const std::vector<Row>& rows) {
  int64_t last = 0;
  for (const Row& row : rows) last = std::max(last, row.back());
  return last;
}

TEST(HeldOut, IsARowAtLeast) {
  const TemporaryFolder folder;
  write_numbers(folder, "a.bin", 0, 1000);
  for (const double fraction : {1e-9, 0.001, 0.016}) {  // of 1,000 tokens fewer than a row's 17
    train::Corpus corpus = corpus_of(folder, fraction);
    EXPECT_EQ(corpus.validation_sequences(), 1) << fraction;
    EXPECT_EQ(held_out_begins(corpus, 1), (Row{983})) << fraction;
    EXPECT_LT(last_token(training_rows(corpus)), 983) << fraction;
  }
  train::Corpus all = corpus_of(folder, 0);
  EXPECT_EQ(all.validation_sequences(), 0);
  EXPECT_EQ(all.training_sequences(), 999 / kContext);
}

TEST(HeldOut, RowsAreApartAndSpreadOverThePart) {
  const TemporaryFolder folder;
  write_numbers(folder, "a.bin", 0, 1000);
  train::Corpus corpus = corpus_of(folder, 0.2);  // 200 tokens: 11 rows of 17
  ASSERT_EQ(corpus.validation_sequences(), 11);
  Row expected;
  for (int64_t i = 0; i < 11; ++i) expected.push_back(800 + 17 * i);
  EXPECT_EQ(held_out_begins(corpus, 11), expected);
  EXPECT_EQ(held_out_begins(corpus, 3), (Row{800, 800 + 17 * 3, 800 + 17 * 7}));
  EXPECT_LT(last_token(training_rows(corpus)), 800);
}

TEST(Corpus, RowsGoOnInTheNextFileAtItsStart) {
  const TemporaryFolder folder;
  write_numbers(folder, "a.bin", 0, 100);
  write_numbers(folder, "b.bin", 1000, 157);
  train::Corpus corpus = corpus_of(folder, 0);
  ASSERT_EQ(corpus.training_sequences(), 256 / kContext);
  int crossings = 0;
  for (const Row& row : training_rows(corpus)) {
    for (size_t j = 1; j < row.size(); ++j) {
      const bool crosses =
          (row[j - 1] == 99 && row[j] == 1000) || (row[j - 1] == 1156 && row[j] == 0);  // whichever file is first
      crossings += crosses ? 1 : 0;
      EXPECT_TRUE(crosses || row[j] == row[j - 1] + 1) << row[j - 1] << ", " << row[j];
    }
  }
  EXPECT_EQ(crossings, 1);
}

TEST(Corpus, EveryByteIsInTheFingerprint) {
  const TemporaryFolder folder;
  std::string bytes(5 << 20, 'a');
  train::DataConfig config;
  config.paths = {folder.path().string()};
  const auto fingerprint = [&] {
    folder.write("text", bytes);
    return train::Corpus(config, 1, 256).fingerprint();
  };
  const uint64_t before = fingerprint();
  for (size_t i = 1; i <= 7; ++i) {
    const size_t at = bytes.size() * i / 7 - i;
    bytes[at] = 'b';
    EXPECT_NE(fingerprint(), before) << "byte " << at;
    bytes[at] = 'a';
  }
  EXPECT_EQ(fingerprint(), before);
}

}  // namespace
}  // namespace lighthouse::test
