// Records are framed as in TFRecord files (length, masked CRC-32C of the length, bytes, masked CRC-32C of the bytes);
// the bytes are tensorflow.Event messages in protobuf's wire format, of which few fields are needed.
#include "train/tensorboard.h"

#include <array>
#include <cstring>
#include <utility>
#include <vector>

namespace lighthouse::train {
namespace {

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82F63B78U : 0U);
    table[i] = value;
  }
  return table;
}

template <typename T>
void append_raw(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

/// Protobuf wire format: a field's number and type, then its value.
class Message {
 public:
  Message& varint(uint32_t field, uint64_t value) {
    tag(field, 0);
    append_varint(value);
    return *this;
  }
  Message& fixed64(uint32_t field, double value) {
    tag(field, 1);
    append_raw(bytes_, value);
    return *this;
  }
  Message& text(uint32_t field, std::string_view value) {
    tag(field, 2);
    append_varint(value.size());
    bytes_.append(value);
    return *this;
  }
  Message& fixed32(uint32_t field, float value) {
    tag(field, 5);
    append_raw(bytes_, value);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void tag(uint32_t field, uint32_t type) { append_varint(uint64_t{field} << 3 | type); }
  void append_varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
    bytes_.push_back(static_cast<char>(value));
  }

  std::string bytes_;
};

std::string framed(const std::string& bytes) {
  // The mask keeps a checksum of data that holds checksums from being a weak one.
  const auto masked = [](uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xA282EAD8U; };
  std::string record;
  append_raw(record, static_cast<uint64_t>(bytes.size()));
  append_raw(record, masked(crc32c(record)));
  record += bytes;
  append_raw(record, masked(crc32c(bytes)));
  return record;
}

using Scalars = std::vector<std::pair<const char*, double>>;

// Fields of tensorflow.Event and of the messages in it.
constexpr uint32_t kEventWallTime = 1;
constexpr uint32_t kEventStep = 2;
constexpr uint32_t kEventFileVersion = 3;
constexpr uint32_t kEventSummary = 5;
constexpr uint32_t kSummaryValue = 1;
constexpr uint32_t kValueTag = 1;
constexpr uint32_t kValueSimpleValue = 2;

std::string event(double time, int64_t step, const Scalars& scalars) {
  Message summary;
  for (const auto& [tag, value] : scalars) {
    summary.text(kSummaryValue,
                 Message().text(kValueTag, tag).fixed32(kValueSimpleValue, static_cast<float>(value)).bytes());
  }
  return framed(Message()
                    .fixed64(kEventWallTime, time)
                    .varint(kEventStep, static_cast<uint64_t>(step))
                    .text(kEventSummary, summary.bytes())
                    .bytes());
}

std::string event_of(const StepRecord& record) {
  return event(record.time, record.step,
               {{"train/loss", record.loss},
                {"train/gradient_norm", record.gradient_norm},
                {"train/learning_rate", record.learning_rate},
                {"speed/tokens_per_second", record.tokens_per_second},
                {"attention/retained_fraction", record.retained_fraction}});
}

std::string event_of(const ValidationRecord& record) {
  Scalars scalars = {{"validation/dense_loss", record.dense_loss}};
  if (record.lighthouse_loss) scalars.emplace_back("validation/lighthouse_loss", *record.lighthouse_loss);
  return event(record.time, record.step, scalars);
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr auto kTable = make_crc_table();
  uint32_t crc = ~0U;
  for (const char byte : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<uint8_t>(byte)) & 0xFF];
  return ~crc;
}

TensorBoardFile::TensorBoardFile(const std::filesystem::path& path, const Metrics& records) : file_(path) {
  const double start = records.steps.empty() ? 0 : records.steps.front().time;
  std::string all = framed(Message().fixed64(kEventWallTime, start).text(kEventFileVersion, "brain.Event:2").bytes());
  for (const auto& record : records.steps) all += event_of(record);
  for (const auto& record : records.validations) all += event_of(record);
  file_.append(all);
}

void TensorBoardFile::write(const StepRecord& record) { file_.append(event_of(record)); }

void TensorBoardFile::write(const ValidationRecord& record) { file_.append(event_of(record)); }

}  // namespace lighthouse::train
