// The safetensors writer and its strict reader.
#include <torch/types.h>
#include <torch/utils.h>

#include <cstring>

#include "model/safetensors.h"
#include "temporary_folder.h"

namespace lighthouse::test {
namespace {

using model::read_safetensors;
using model::write_safetensors;

std::string file_of(const std::string& header, const std::string& data) {
  const uint64_t size = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &size, 8);
  return bytes + header + data;
}

TEST(Safetensors, RoundTrip) {
  const TemporaryFolder folder;
  torch::manual_seed(1);
  const model::NamedTensors tensors = {
      {"a", torch::randn({3, 5})},           {"b.c", torch::randn({7}).to(torch::kBFloat16)},
      {"empty", torch::empty({0, 4})},       {"scalar", torch::tensor(2.5, torch::kDouble)},
      {"strided", torch::randn({4, 6}).t()}, {"whole", torch::arange(9)}};
  const auto path = folder.path() / "x.safetensors";
  write_safetensors(path, tensors, {{"note", "a \"quoted\" text"}});
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".tmp"));
  const auto file = read_safetensors(path);
  EXPECT_EQ(file.metadata.at("format"), "pt");
  EXPECT_EQ(file.metadata.at("note"), "a \"quoted\" text");
  std::map<std::string, torch::Tensor> found(file.tensors.begin(), file.tensors.end());
  ASSERT_EQ(found.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(found.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(torch::equal(found.at(name), tensor)) << name;
  }
}

TEST(Safetensors, RefusesBrokenFiles) {
  const TemporaryFolder folder;
  const auto expect = [&](const std::string& bytes, const std::string& what) {
    const auto path = folder.write("broken", bytes);
    expect_error([&] { read_safetensors(path); }, {path.string(), what});
  };
  const std::string entry = R"("dtype":"F32","shape":[1],"data_offsets":)";
  expect("", "at least 8 bytes");
  expect("1234567", "at least 8 bytes");
  expect(std::string(8, '\xff'), "the header is said to have");
  expect(file_of("{", ""), "not a JSON object");
  expect(file_of("[]", ""), "not a JSON object");
  expect(file_of(R"({"__metadata__":{"a":1}})", ""), "must be a string");
  expect(file_of(R"({"x":{"dtype":"F32"}})", ""), "x must have a dtype, a shape and two data_offsets");
  expect(file_of(R"({"x":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", "abcd"), "unknown dtype, F33");
  expect(file_of(R"({"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "abcd"), "must have");
  expect(file_of(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "abcd"), "needs 8 bytes");
  expect(file_of(R"({"x":{"dtype":"F32","shape":[9223372036854775807,9],"data_offsets":[0,4]}})", "abcd"),
         "larger than");
  expect(file_of("{\"x\":{" + entry + "[4,0]}}", "abcd"), "needs 4 bytes");
  expect(file_of("{\"x\":{" + entry + "[0,4]}}", "abc"), "the tensors end at byte 4; the data has 3");
  expect(file_of("{\"x\":{" + entry + "[0,4]}}", "abcdefgh"), "the data has 8");
  expect(file_of("{\"x\":{" + entry + "[4,8]}}", "abcdefgh"), "x starts at byte 4; expected 0");
  expect(file_of("{\"x\":{" + entry + "[0,4]},\"y\":{" + entry + "[0,4]}}", "abcd"), "starts at byte 0; expected 4");
  expect_error([&] { read_safetensors(folder.path() / "none"); }, {"cannot open", "No such file"});
}

TEST(Safetensors, WritesNothingWhereItCannot) {
  expect_error([] { write_safetensors("/no/such/folder/x", {}); }, {"/no/such/folder/x", "No such file"});
  const TemporaryFolder folder;
  const auto path = folder.write("x", "old");
  const model::NamedTensors twice = {{"a", torch::ones({1})}, {"a", torch::ones({1})}};
  expect_error([&] { write_safetensors(path, twice); }, {"two tensors are named a"});
  const model::NamedTensors complex_tensor = {{"z", torch::ones({1}, torch::kComplexFloat)}};
  expect_error([&] { write_safetensors(path, complex_tensor); }, {"no name for the dtype of z"});
  EXPECT_EQ(std::filesystem::file_size(path), 3U) << "the old file must be whole";
}

}  // namespace
}  // namespace lighthouse::test
