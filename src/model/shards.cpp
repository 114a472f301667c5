#include "model/shards.h"

#include <torch/types.h>

#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "io/atomic_file.h"
#include "io/json.h"

namespace lighthouse::model {
namespace {

namespace fs = std::filesystem;
using io::Json;

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

/// Tensors in their order, as many to a file as fit.
std::vector<NamedTensors> split(const NamedTensors& tensors, uint64_t max_shard_bytes) {
  std::vector<NamedTensors> shards(1);
  uint64_t bytes = 0;
  for (const auto& item : tensors) {
    if (!shards.back().empty() && bytes + item.second.nbytes() > max_shard_bytes) {
      shards.emplace_back();
      bytes = 0;
    }
    shards.back().push_back(item);
    bytes += item.second.nbytes();
  }
  return shards;
}

std::string shard_name(size_t index, size_t count) {
  char name[64];
  std::snprintf(name, sizeof(name), "model-%05zu-of-%05zu.safetensors", index + 1, count);
  return name;
}

/// Tensor names by file, from the index.
std::map<std::string, std::set<std::string>> read_index(const fs::path& path) {
  const Json index = io::read_json(path);
  const auto fail = [&](const std::string& what) { throw std::runtime_error(path.string() + ": " + what); };
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    fail("expected a JSON object with a weight_map");
  }
  std::map<std::string, std::set<std::string>> files;
  for (const auto& [tensor, name] : index["weight_map"].items()) {
    if (!name.is_string()) fail("weight_map." + tensor + " must be the name of a file");
    const auto text = name.get<std::string>();
    if (text.empty() || fs::path(text).filename() != fs::path(text)) {
      fail("weight_map." + tensor + " must name a file in the same folder; got " + text);
    }
    files[text].insert(tensor);
  }
  return files;
}

}  // namespace

void write_shards(const fs::path& folder, const NamedTensors& tensors, uint64_t max_shard_bytes) {
  const std::vector<NamedTensors> shards = split(tensors, max_shard_bytes);
  if (shards.size() == 1) {
    write_safetensors(folder / kSingle, shards.front());
    return;
  }
  Json map = Json::object();
  uint64_t bytes = 0;
  int64_t parameters = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name = shard_name(i, shards.size());
    write_safetensors(folder / name, shards[i]);
    for (const auto& [tensor, values] : shards[i]) {
      map[tensor] = name;
      bytes += values.nbytes();
      parameters += values.numel();
    }
  }
  const Json index = {{"metadata", {{"total_parameters", parameters}, {"total_size", bytes}}}, {"weight_map", map}};
  io::write_file(folder / kIndex, io::json_text(index, 2) + "\n");
}

NamedTensors read_shards(const fs::path& folder) {
  if (fs::exists(folder / kSingle)) return read_safetensors(folder / kSingle).tensors;
  if (!fs::exists(folder / kIndex)) {
    throw std::runtime_error(folder.string() + ": expected " + kSingle + " or " + kIndex + "; it has neither");
  }
  NamedTensors tensors;
  std::string differences;
  for (auto& [name, expected] : read_index(folder / kIndex)) {
    for (auto& item : read_safetensors(folder / name).tensors) {
      if (expected.erase(item.first) == 0) differences += "\n  " + name + " has " + item.first + ", not listed for it";
      tensors.push_back(std::move(item));
    }
    for (const auto& tensor : expected) differences += "\n  " + name + " lacks " + tensor;
  }
  if (!differences.empty()) {
    throw std::runtime_error((folder / kIndex).string() + " does not fit the files:" + differences);
  }
  return tensors;
}

}  // namespace lighthouse::model
