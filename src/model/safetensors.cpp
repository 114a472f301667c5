#include "model/safetensors.h"

#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <bit>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "io/atomic_file.h"
#include "io/checksum.h"
#include "io/system_error.h"

namespace lighthouse::model {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

using Json = nlohmann::ordered_json;

struct DtypeName {
  const char* name;
  torch::ScalarType type;
};
constexpr std::array<DtypeName, 9> kDtypes = {{{"F32", torch::kFloat},
                                               {"F64", torch::kDouble},
                                               {"BF16", torch::kBFloat16},
                                               {"F16", torch::kHalf},
                                               {"I64", torch::kLong},
                                               {"I32", torch::kInt},
                                               {"I8", torch::kChar},
                                               {"U8", torch::kByte},
                                               {"BOOL", torch::kBool}}};

const char* name_of(torch::ScalarType type, const std::string& tensor) {
  for (const auto& dtype : kDtypes) {
    if (dtype.type == type) return dtype.name;
  }
  throw std::invalid_argument("safetensors: no name for the dtype of " + tensor + ", " + c10::toString(type));
}

constexpr const char* kChecksum = "lighthouse.checksum";
constexpr const char* kNoChecksum = "0000000000000000";  // stands in the header while the checksum is taken

std::string header_of(const NamedTensors& tensors, const Metadata& metadata) {
  Json header = Json::object();
  Json texts = Json::object();
  texts["format"] = "pt";
  texts[kChecksum] = kNoChecksum;
  for (const auto& [key, value] : metadata) texts[key] = value;
  header["__metadata__"] = texts;
  size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    if (header.contains(name)) throw std::invalid_argument("safetensors: two tensors are named " + name);
    header[name] = {{"dtype", name_of(tensor.scalar_type(), name)},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, offset + tensor.nbytes()}}};
    offset += tensor.nbytes();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // tensors start on 8 bytes
  return text;
}

/// The header with its checksum, or without: both are as long.
std::string with_checksum(std::string header, const std::string& checksum) {
  const std::string key = std::string(1, '"').append(kChecksum).append("\":\"");
  const size_t place = header.find(key);
  if (place != std::string::npos) header.replace(place + key.size(), checksum.size(), checksum);
  return header;
}

/// Reads one file, naming it in every complaint.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path) {}

  SafetensorsFile read() {
    std::ifstream file(path_, std::ios::binary);
    if (!file) io::fail_system("cannot open", path_);
    std::error_code error;
    const uint64_t size = std::filesystem::file_size(path_, error);
    if (error) fail("its size cannot be read: " + error.message());
    uint64_t header_size = 0;
    if (size < sizeof(header_size))
      fail("expected a header of at least 8 bytes; got " + std::to_string(size) + " bytes");
    file.read(reinterpret_cast<char*>(&header_size), sizeof(header_size));
    constexpr uint64_t kMostHeader = 100U << 20;
    if (header_size > size - 8 || header_size > kMostHeader) {
      fail("the header is said to have " + std::to_string(header_size) + " bytes; the file has " +
           std::to_string(size));
    }
    std::string text(header_size, '\0');
    file.read(text.data(), static_cast<std::streamsize>(header_size));
    if (!file) fail("the header cannot be read");
    const Json header = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!header.is_object()) fail("the header is not a JSON object");

    SafetensorsFile result;
    std::vector<Range> ranges;
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") {
        read_metadata(entry, result.metadata);
      } else {
        ranges.push_back(parse_entry(name, entry));
      }
    }
    std::sort(ranges.begin(), ranges.end(),
              [](const Range& a, const Range& b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
    uint64_t expected = 0;
    for (const Range& range : ranges) {
      if (range.begin != expected) {
        fail(range.name + " starts at byte " + std::to_string(range.begin) + "; expected " + std::to_string(expected));
      }
      expected = range.end;
    }
    if (expected != size - 8 - header_size) {
      fail("the tensors end at byte " + std::to_string(expected) + "; the data has " +
           std::to_string(size - 8 - header_size));
    }
    io::Checksum checksum;
    checksum.add(with_checksum(text, kNoChecksum));
    for (const Range& range : ranges) {
      torch::Tensor tensor = torch::empty(range.shape, range.type);
      file.read(static_cast<char*>(tensor.data_ptr()), static_cast<std::streamsize>(tensor.nbytes()));
      if (!file) fail(range.name + " cannot be read");
      checksum.add(tensor.data_ptr(), tensor.nbytes());
      result.tensors.emplace_back(range.name, tensor);
    }
    verify(checksum, result);
    return result;
  }

 private:
  struct Range {
    std::string name;
    torch::ScalarType type = torch::kFloat;
    std::vector<int64_t> shape;
    uint64_t begin = 0;
    uint64_t end = 0;
  };

  [[noreturn]] void fail(const std::string& what) const { throw std::runtime_error(path_.string() + ": " + what); }

  void verify(const io::Checksum& checksum, SafetensorsFile& result) const {
    const auto said = result.metadata.find(kChecksum);
    if (said == result.metadata.end()) return;
    const std::string found = io::to_hex(checksum.value());
    if (said->second != found) {
      fail("the file is damaged: its checksum says " + said->second + ", its bytes give " + found);
    }
    result.metadata.erase(said);
    result.checksum_verified = true;
  }

  void read_metadata(const Json& entry, Metadata& metadata) const {
    if (!entry.is_object()) fail("__metadata__ must be an object of strings");
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) fail("__metadata__." + key + " must be a string");
      metadata[key] = value.get<std::string>();
    }
  }

  Range parse_entry(const std::string& name, const Json& entry) const {
    const auto whole_numbers = [](const Json& list) {
      return list.is_array() &&
             std::all_of(list.begin(), list.end(), [](const Json& x) { return x.is_number_unsigned(); });
    };
    if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string() || !entry.contains("shape") ||
        !whole_numbers(entry["shape"]) || !entry.contains("data_offsets") || !whole_numbers(entry["data_offsets"]) ||
        entry["data_offsets"].size() != 2) {
      fail(name + " must have a dtype, a shape and two data_offsets");
    }
    Range range;
    range.name = name;
    const auto dtype_name = entry["dtype"].get<std::string>();
    const auto* const dtype =
        std::find_if(kDtypes.begin(), kDtypes.end(), [&](const DtypeName& d) { return dtype_name == d.name; });
    if (dtype == kDtypes.end()) fail(name + " has an unknown dtype, " + dtype_name);
    range.type = dtype->type;
    uint64_t bytes = c10::elementSize(range.type);
    for (const auto& extent : entry["shape"]) {
      const auto value = extent.get<uint64_t>();
      if (value > std::numeric_limits<int64_t>::max() || __builtin_mul_overflow(bytes, value, &bytes)) {
        fail(name + " is larger than 2^63 bytes");
      }
      range.shape.push_back(static_cast<int64_t>(value));
    }
    range.begin = entry["data_offsets"][0].get<uint64_t>();
    range.end = entry["data_offsets"][1].get<uint64_t>();
    if (range.end < range.begin || range.end - range.begin != bytes) {
      fail(name + " of shape " + entry["shape"].dump() + " and dtype " + dtype_name + " needs " +
           std::to_string(bytes) + " bytes; its data_offsets are " + entry["data_offsets"].dump());
    }
    return range;
  }

  std::filesystem::path path_;
};

std::string shape_text(const torch::Tensor& tensor) {
  std::ostringstream text;
  text << tensor.sizes();
  return text.str();
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors, const Metadata& metadata) {
  const std::string header = header_of(tensors, metadata);
  NamedTensors plain;
  io::Checksum checksum;
  checksum.add(header);
  for (const auto& [name, tensor] : tensors) {
    plain.emplace_back(name, tensor.detach().to(torch::kCPU).contiguous());
    checksum.add(plain.back().second.data_ptr(), plain.back().second.nbytes());
  }
  io::AtomicFile file(path);
  const uint64_t header_size = header.size();
  file.write(&header_size, sizeof(header_size));
  file.write(with_checksum(header, io::to_hex(checksum.value())));
  for (const auto& [name, tensor] : plain) file.write(tensor.data_ptr(), tensor.nbytes());
  file.commit();
}

SafetensorsFile read_safetensors(const std::filesystem::path& path) { return Reader(path).read(); }

NamedTensors named_parameters(const torch::nn::Module& module) {
  NamedTensors tensors;
  for (const auto& item : module.named_parameters()) tensors.emplace_back(item.key(), item.value().detach());
  return tensors;
}

void load_parameters(torch::nn::Module& module, const NamedTensors& tensors, const std::string& source) {
  std::map<std::string, torch::Tensor> found(tensors.begin(), tensors.end());
  std::string differences;
  const auto parameters = module.named_parameters();
  for (const auto& item : parameters) {
    const auto tensor = found.find(item.key());
    if (tensor == found.end()) {
      differences += "\n  missing: " + item.key() + " " + shape_text(item.value());
    } else if (tensor->second.sizes() != item.value().sizes()) {
      differences +=
          "\n  " + item.key() + ": expected " + shape_text(item.value()) + ", got " + shape_text(tensor->second);
    }
  }
  for (const auto& [name, tensor] : found) {
    if (!parameters.contains(name)) differences += "\n  unexpected: " + name + " " + shape_text(tensor);
  }
  if (!differences.empty()) throw std::runtime_error(source + " does not fit the model:" + differences);
  const torch::NoGradGuard no_grad;
  for (const auto& item : parameters) item.value().copy_(found.at(item.key()));
}

}  // namespace lighthouse::model
