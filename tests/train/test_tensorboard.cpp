// TensorBoard's events as a reader of protobuf sees them: fields, numbers of several bytes, tags and values.
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

#include "temporary_folder.h"
#include "train/tensorboard.h"

namespace lighthouse::test {
namespace {

/// A message's fields by number; of protobuf's wire types those that events use.
class Fields {
 public:
  explicit Fields(std::string bytes) : bytes_(std::move(bytes)) {
    for (size_t at = 0; at < bytes_.size();) {
      const uint64_t tag = varint(at);
      const auto number = static_cast<int>(tag >> 3);
      switch (tag & 7) {
        case 0: numbers[number] = varint(at); break;
        case 1: doubles[number] = fixed<double>(at); break;
        case 2: {
          const auto size = static_cast<size_t>(varint(at));
          texts[number].push_back(bytes_.substr(at, size));
          at += size;
          break;
        }
        case 5: floats[number] = fixed<float>(at); break;
        default: ADD_FAILURE() << "wire type " << (tag & 7); return;
      }
    }
  }

  std::map<int, uint64_t> numbers;
  std::map<int, double> doubles;
  std::map<int, float> floats;
  std::map<int, std::vector<std::string>> texts;

 private:
  uint64_t varint(size_t& at) const {
    uint64_t value = 0;
    for (int shift = 0; at < bytes_.size() && shift < 64; shift += 7) {
      const auto byte = static_cast<uint8_t>(bytes_[at++]);
      value |= uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return value;
    }
    ADD_FAILURE() << "a number that does not end";
    return value;
  }
  template <typename T>
  T fixed(size_t& at) const {
    T value{};
    if (at + sizeof(T) > bytes_.size()) ADD_FAILURE() << "a field that is cut short";
    std::memcpy(&value, bytes_.substr(at, sizeof(T)).data(), sizeof(T));
    at += sizeof(T);
    return value;
  }

  std::string bytes_;
};

std::vector<Fields> events_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  const std::string all = text.str();
  std::vector<Fields> events;
  for (size_t at = 0; at + 16 <= all.size();) {
    uint64_t length = 0;
    std::memcpy(&length, all.data() + at, sizeof(length));
    events.emplace_back(all.substr(at + 12, length));
    at += 16 + length;
  }
  return events;
}

/// Values by tag of one event's summary.
std::map<std::string, float> scalars_of(const Fields& event) {
  std::map<std::string, float> scalars;
  for (const auto& summary : event.texts.at(5)) {
    const Fields values(summary);
    for (const auto& value : values.texts.at(1)) {
      const Fields fields(value);
      scalars[fields.texts.at(1).front()] = fields.floats.at(2);
    }
  }
  return scalars;
}

TEST(TensorBoard, EventsHaveTheirStepTimeAndValues) {
  const TemporaryFolder folder;
  const auto path = folder.path() / train::kTensorBoardName;
  const std::vector<int64_t> steps = {0, 1, 127, 128, 129, 300, 16383, 16384, int64_t{1} << 40};
  train::Metrics records;
  for (const int64_t step : steps) {
    train::StepRecord record;
    record.step = step;
    record.time = 1e9 + 0.25;
    record.loss = 2.5;
    record.gradient_norm = 0.5;
    record.learning_rate = 0.125;
    record.tokens_per_second = 1024;
    record.retained_fraction = 0.75;
    records.steps.push_back(record);
  }
  {
    train::TensorBoardFile file(path, records);
    file.write(train::ValidationRecord{200, 0, 0, 5.5, "one", true, 1.5, 1.25});
    file.write(train::ValidationRecord{201, 0, 0, 5.5, "one", true, 1.5, std::nullopt});
  }
  const auto events = events_of(path);
  ASSERT_EQ(events.size(), 1 + steps.size() + 2);
  EXPECT_EQ(events[0].texts.at(3), (std::vector<std::string>{"brain.Event:2"}));
  const std::map<std::string, float> expected = {{"train/loss", 2.5F},
                                                 {"train/gradient_norm", 0.5F},
                                                 {"train/learning_rate", 0.125F},
                                                 {"speed/tokens_per_second", 1024},
                                                 {"attention/retained_fraction", 0.75F}};
  for (size_t i = 0; i < steps.size(); ++i) {
    const Fields& event = events[1 + i];
    EXPECT_EQ(event.numbers.at(2), static_cast<uint64_t>(steps[i]));
    EXPECT_EQ(event.doubles.at(1), 1e9 + 0.25);
    EXPECT_EQ(scalars_of(event), expected);
  }
  const Fields& validation = events[1 + steps.size()];
  EXPECT_EQ(validation.numbers.at(2), 200U);
  EXPECT_EQ(scalars_of(validation),
            (std::map<std::string, float>{{"validation/dense_loss", 1.5F}, {"validation/lighthouse_loss", 1.25F}}));
  EXPECT_EQ(scalars_of(events.back()), (std::map<std::string, float>{{"validation/dense_loss", 1.5F}}));
}

}  // namespace
}  // namespace lighthouse::test
