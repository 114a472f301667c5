// The safetensors writer and its strict reader.
#include <torch/types.h>
#include <torch/utils.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "io/system_error.h"
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

TEST(Safetensors, NamesWhatIsNoDamage) {
  const TemporaryFolder folder;
  const auto pointer = folder.write("pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 99\n");
  expect_error([&] { read_safetensors(pointer); }, {"pointer is a Git LFS pointer", "git lfs pull"});
  expect_error([&] { read_safetensors(folder.path()); }, {"is not a regular file"});
  EXPECT_THROW(read_safetensors(folder.path() / "none"), io::SystemError);
  EXPECT_THROW(read_safetensors(folder.write("short", "1234567")), io::DamagedFile);
  const std::string deep = std::string(100000, '[');
  expect_error([&] { read_safetensors(folder.write("deep", file_of(deep, ""))); },
               {"not a JSON object", "more than 200"});
  expect_error(
      [&] {
        read_safetensors(folder.write(
            "x", file_of(R"({"x":{"dtype":"F32","shape":[0,9223372036854775807,9],"data_offsets":[0,0]}})", "")));
      },
      {"x is larger than 2^63 bytes"});
}

/// A file with its tensors in another order and its header written in another way, by `change` to the header.
std::string rewritten(const std::filesystem::path& path, const std::function<void(nlohmann::ordered_json&)>& change,
                      int indent) {
  std::ifstream stream(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  uint64_t size = 0;
  std::memcpy(&size, bytes.data(), 8);
  const auto header = nlohmann::ordered_json::parse(bytes.substr(8, size));
  nlohmann::ordered_json other = {{"__metadata__", nlohmann::ordered_json::object()}};
  std::map<std::string, std::string> metadata = header["__metadata__"];
  for (auto each = metadata.rbegin(); each != metadata.rend(); ++each)
    other["__metadata__"][each->first] = each->second;
  std::map<std::string, nlohmann::ordered_json> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name != "__metadata__") tensors[name] = entry;
  }
  std::string data;
  for (auto& [name, entry] : tensors) {
    const size_t begin = entry["data_offsets"][0];
    const size_t length = entry["data_offsets"][1].get<size_t>() - begin;
    entry["data_offsets"] = {data.size(), data.size() + length};
    data += bytes.substr(8 + size + begin, length);
    other[name] = entry;
  }
  change(other);
  return file_of(other.dump(indent), data);
}

TEST(Safetensors, SoundFilesOfOtherProgramsKeepTheirChecksums) {
  const TemporaryFolder folder;
  torch::manual_seed(2);
  const auto path = folder.path() / "model";
  write_safetensors(path, {{"z", torch::randn({3, 5})}, {"a", torch::arange(9)}}, {{"note", "text"}});
  const auto nothing = [](nlohmann::ordered_json&) {};
  const auto original = read_safetensors(path);
  EXPECT_TRUE(original.checksum_verified && !original.rewritten);
  for (const int indent : {-1, 2}) {
    const auto other = read_safetensors(folder.write("other", rewritten(path, nothing, indent)));
    EXPECT_TRUE(other.checksum_verified && other.rewritten) << indent;
    EXPECT_EQ(other.metadata, original.metadata);
    EXPECT_TRUE(torch::equal(other.tensors[1].second, original.tensors[0].second));
  }
  const auto noted = [](nlohmann::ordered_json& header) { header["__metadata__"]["by"] = "another program"; };
  EXPECT_TRUE(read_safetensors(folder.write("noted", rewritten(path, noted, -1))).checksum_verified);
  // Whoever wrote it last, damage is found: in every byte of the tensors, and in their names, shapes and types.
  const std::string sound = rewritten(path, nothing, -1);
  for (size_t at = sound.size() - 132; at < sound.size(); ++at) {
    std::string bytes = sound;
    bytes[at] ^= 1;
    expect_error([&] { read_safetensors(folder.write("damaged", bytes)); }, {"damaged", "lighthouse.", "metadata"});
  }
  for (const auto& [from, to] :
       std::map<std::string, std::string>{{"\"F32\"", "\"I32\""}, {"[3,5]", "[5,3]"}, {"\"z\"", "\"y\""}}) {
    std::string bytes = sound;
    bytes.replace(bytes.find(from), from.size(), to);
    expect_error([&] { read_safetensors(folder.write("damaged", bytes)); }, {"damaged"});
  }
  // Files of releases that wrote one checksum, over the order that was.
  const auto older = [](nlohmann::ordered_json& header) { header["__metadata__"].erase("lighthouse.tensors"); };
  const auto other = read_safetensors(folder.write("older", rewritten(path, older, 2)));
  EXPECT_TRUE(other.rewritten && !other.checksum_verified);
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
