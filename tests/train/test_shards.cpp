// Weights in files: their bytes by the format's own rules, and models in several files.
#include <torch/types.h>
#include <torch/utils.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "model/shards.h"
#include "temporary_folder.h"

namespace lighthouse::test {
namespace {

using model::NamedTensors;

std::string bytes_of_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(Safetensors, BytesAreThoseOfTheFormat) {
  // Values and their bytes by IEEE 754 and by the definition of bfloat16, not by a round trip.
  const TemporaryFolder folder;
  struct Value {
    const char* name;
    torch::Tensor tensor;
    std::string bytes;
  };
  const std::vector<Value> values = {
      {"F32", torch::full({1}, 1.5F), {"\x00\x00\xC0\x3F", 4}},
      {"F16", torch::full({1}, 1.5F).to(torch::kHalf), {"\x00\x3E", 2}},
      {"BF16", torch::full({1}, 1.5F).to(torch::kBFloat16), {"\xC0\x3F", 2}},
      {"F64", torch::full({1}, 1.5, torch::kDouble), {"\x00\x00\x00\x00\x00\x00\xF8\x3F", 8}},
      {"I64", torch::full({1}, -2, torch::kLong), {"\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8}},
      {"I32", torch::full({1}, 258, torch::kInt), {"\x02\x01\x00\x00", 4}},
      {"U8", torch::full({1}, 200, torch::kByte), {"\xC8", 1}}};
  for (const auto& value : values) {
    const auto path = folder.path() / value.name;
    model::write_safetensors(path, {{"x", value.tensor}});
    const std::string all = bytes_of_file(path);
    uint64_t header_size = 0;
    std::memcpy(&header_size, all.data(), sizeof(header_size));
    EXPECT_EQ(header_size % 8, 0U) << "tensors start on 8 bytes";
    const auto header = nlohmann::json::parse(all.substr(8, header_size));
    EXPECT_EQ(header["x"]["dtype"], value.name);
    EXPECT_EQ(header["x"]["data_offsets"], (std::vector<size_t>{0, value.bytes.size()}));
    EXPECT_EQ(all.substr(8 + header_size), value.bytes) << value.name;
    const auto read = model::read_safetensors(path).tensors;
    EXPECT_TRUE(torch::equal(read[0].second, value.tensor)) << value.name;
    EXPECT_EQ(read[0].second.scalar_type(), value.tensor.scalar_type()) << value.name;
  }
}

TEST(Shards, AreNoLargerThanAsked) {
  const TemporaryFolder folder;
  // 40, 80, 120, 20 and 400 bytes: {a, b}, {c}, {d} and {e} at 130 bytes; what is larger has a file of its own.
  const NamedTensors tensors = {{"a", torch::randn({10})},
                                {"b", torch::randn({4, 5})},
                                {"c", torch::randn({30})},
                                {"d", torch::arange(20, torch::kByte)},
                                {"e", torch::randn({100})}};
  model::write_shards(folder.path(), tensors, 130);
  const auto index = nlohmann::json::parse(bytes_of_file(folder.path() / "model.safetensors.index.json"));
  EXPECT_EQ(index["metadata"]["total_size"], 40 + 80 + 120 + 20 + 400);
  EXPECT_EQ(index["metadata"]["total_parameters"], 10 + 20 + 30 + 20 + 100);
  const std::vector<std::vector<std::string>> expected = {{"a", "b"}, {"c"}, {"d"}, {"e"}};
  for (size_t i = 0; i < expected.size(); ++i) {
    const std::string name = "model-0000" + std::to_string(i + 1) + "-of-00004.safetensors";
    std::vector<std::string> found;
    for (const auto& item : model::read_safetensors(folder.path() / name).tensors) found.push_back(item.first);
    EXPECT_EQ(found, expected[i]) << name;
    for (const auto& tensor : found) EXPECT_EQ(index["weight_map"][tensor], name);
  }
  EXPECT_EQ(index["weight_map"].size(), tensors.size());
  const NamedTensors again = model::read_shards(folder.path());
  ASSERT_EQ(again.size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(again[i].first, tensors[i].first);
    EXPECT_TRUE(torch::equal(again[i].second, tensors[i].second)) << tensors[i].first;
  }
}

TEST(Shards, OneFileNeedsNoIndex) {
  const TemporaryFolder folder;
  const NamedTensors tensors = {{"a", torch::randn({10})}, {"b", torch::randn({10})}};
  model::write_shards(folder.path(), tensors, 80);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "model.safetensors.index.json"));
  EXPECT_EQ(model::read_shards(folder.path()).size(), 2U);
}

}  // namespace
}  // namespace lighthouse::test
