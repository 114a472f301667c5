// The record of a run and its copy for TensorBoard.
#include <cstring>
#include <sstream>

#include "temporary_folder.h"
#include "train/metrics.h"
#include "train/tensorboard.h"

namespace lighthouse::test {
namespace {

using train::Metrics;
using train::MetricsFile;
using train::StepRecord;
using train::ValidationRecord;

StepRecord step_record(int64_t step) {
  return {.step = step,
          .tokens = 128 * step,
          .seconds = 0.1 * static_cast<double>(step),
          .time = 1e9,
          .stage = "one",
          .attention = "lighthouse",
          .loss = 1.0 / 3 + static_cast<double>(step),
          .learning_rate = 1e-3,
          .gradient_norm = 0.7,
          .tokens_per_second = 1280,
          .retained_fraction = 0.25};
}

TEST(Metrics, ReadBackBitForBit) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  uint64_t first_bytes = 0;
  {
    MetricsFile file(path);
    file.write(step_record(1));
    first_bytes = file.sync();
    StepRecord diverged = step_record(2);
    diverged.gradient_norm = INFINITY;  // JSON has no such number
    file.write(diverged);
    file.write(ValidationRecord{2, 256, 0.2, 1e9, "one", true, 2.0 / 3, 0.1});
  }
  const Metrics metrics = train::read_metrics(path);
  ASSERT_EQ(metrics.steps.size(), 2U);
  EXPECT_EQ(metrics.steps[0].loss, 1.0 / 3 + 1.0);
  EXPECT_TRUE(std::isnan(metrics.steps[1].gradient_norm));
  ASSERT_EQ(metrics.validations.size(), 1U);
  EXPECT_EQ(metrics.validations[0].dense_loss, 2.0 / 3);
  EXPECT_EQ(metrics.validations[0].lighthouse_loss, 0.1);
  EXPECT_EQ(train::read_metrics(path, first_bytes).steps.size(), 1U);
  {
    MetricsFile file(path, first_bytes);
    file.write(step_record(5));
  }
  EXPECT_EQ(train::read_metrics(path).steps.back().step, 5);
}

TEST(Metrics, NameTheLineThatIsWrong) {
  const TemporaryFolder folder;
  MetricsFile(folder.path() / "m").write(step_record(1));
  std::ofstream(folder.path() / "m", std::ios::app) << "{\"kind\":\"step\",\"step\":2}\n";
  expect_error([&] { train::read_metrics(folder.path() / "m"); }, {"m, line 2", "tokens"});
  const auto torn = folder.write("torn", "{\"kind\":\"st");
  EXPECT_TRUE(train::read_metrics(torn).steps.empty()) << "a line that is being written is not read";
  expect_error([&] { train::read_metrics(folder.write("kind", "{\"kind\":\"x\"}\n")); }, {"kind, line 1", "\"x\""});
  expect_error([&] { train::read_metrics(folder.path() / "none"); }, {"cannot open", "none"});
}

/// Frames of a TFRecord file, with their lengths' and bytes' checksums checked.
std::vector<std::string> frames_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream stream;
  stream << file.rdbuf();
  const std::string all = stream.str();
  const auto number = [&](size_t at, auto value) {
    std::memcpy(&value, all.data() + at, sizeof(value));
    return value;
  };
  const auto unmasked = [](uint32_t masked) {
    const uint32_t rotated = masked - 0xA282EAD8U;
    return (rotated << 15) | (rotated >> 17);
  };
  std::vector<std::string> frames;
  for (size_t at = 0; at < all.size();) {
    const uint64_t length = number(at, uint64_t{});
    EXPECT_EQ(unmasked(number(at + 8, uint32_t{})), train::crc32c({all.data() + at, 8}));
    frames.push_back(all.substr(at + 12, length));
    EXPECT_EQ(unmasked(number(at + 12 + length, uint32_t{})), train::crc32c(frames.back()));
    at += length + 16;
  }
  return frames;
}

TEST(TensorBoard, FramesAndChecksums) {
  EXPECT_EQ(train::crc32c("123456789"), 0xE3069283U);  // the check value that CRC catalogues give
  const TemporaryFolder folder;
  const auto path = folder.path() / train::kTensorBoardName;
  Metrics records;
  records.steps = {step_record(1), step_record(2)};
  {
    train::TensorBoardFile file(path, records);
    file.write(ValidationRecord{2, 256, 0.2, 1e9, "one", true, 0.5, 0.25});
  }
  const auto frames = frames_of(path);
  ASSERT_EQ(frames.size(), 4U);
  EXPECT_NE(frames[0].find("brain.Event:2"), std::string::npos);
  EXPECT_NE(frames[1].find("train/loss"), std::string::npos);
  EXPECT_NE(frames[3].find("validation/lighthouse_loss"), std::string::npos);
  const float half = 0.5F;
  EXPECT_NE(frames[3].find(std::string(reinterpret_cast<const char*>(&half), 4)), std::string::npos);
  // Written anew from the records: nothing doubles.
  { const train::TensorBoardFile again(path, records); }
  EXPECT_EQ(frames_of(path).size(), 3U);
}

}  // namespace
}  // namespace lighthouse::test
