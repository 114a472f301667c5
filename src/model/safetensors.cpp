#include "model/safetensors.h"

#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <stdexcept>

#include "io/atomic_file.h"
#include "io/checksum.h"
#include "io/input_file.h"
#include "io/json.h"
#include "io/system_error.h"

namespace lighthouse::model {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

using io::Json;

struct DtypeName {
  const char* name;
  torch::ScalarType type;
};
constexpr std::array<DtypeName, 15> kDtypes = {{{"F32", torch::kFloat},
                                                {"F64", torch::kDouble},
                                                {"BF16", torch::kBFloat16},
                                                {"F16", torch::kHalf},
                                                {"I64", torch::kLong},
                                                {"I32", torch::kInt},
                                                {"I8", torch::kChar},
                                                {"U8", torch::kByte},
                                                {"BOOL", torch::kBool},
                                                {"I16", torch::kShort},
                                                {"U16", torch::kUInt16},
                                                {"U32", torch::kUInt32},
                                                {"U64", torch::kUInt64},
                                                {"F8_E4M3", torch::kFloat8_e4m3fn},
                                                {"F8_E5M2", torch::kFloat8_e5m2}}};

const char* name_of(torch::ScalarType type, const std::string& tensor) {
  for (const auto& dtype : kDtypes) {
    if (dtype.type == type) return dtype.name;
  }
  throw std::invalid_argument("safetensors: no name for the dtype of " + tensor + ", " + c10::toString(type));
}

constexpr const char* kMetadata = "__metadata__";
constexpr const char* kFormat = "format";
constexpr const char* kChecksum = "lighthouse.checksum";        // of header and tensors as they stand in the file
constexpr const char* kTensorsChecksum = "lighthouse.tensors";  // of the tensors, whatever their order
constexpr const char* kNoChecksum = "0000000000000000";         // stands in the header while the first is taken

/// Of names, dtypes, shapes and bytes.
std::string checksum_of(const NamedTensors& tensors) {
  std::set<std::string> each;
  for (const auto& [name, tensor] : tensors) {
    io::Checksum checksum;
    checksum.add(tensor.data_ptr(), tensor.nbytes());
    for (const int64_t extent : tensor.sizes()) checksum.add(static_cast<uint64_t>(extent));
    each.insert(name + " " + name_of(tensor.scalar_type(), name) + " " + io::to_hex(checksum.value()) + "\n");
  }
  io::Checksum all;
  for (const std::string& text : each) all.add(text);
  return io::to_hex(all.value());
}

std::string padded(std::string header) {
  header.resize((header.size() + 7) / 8 * 8, ' ');  // tensors start on 8 bytes
  return header;
}

std::string header_of(const NamedTensors& tensors, const Metadata& metadata) {
  Json header = Json::object();
  Json texts = Json::object();
  texts[kFormat] = "pt";
  texts[kChecksum] = kNoChecksum;
  texts[kTensorsChecksum] = checksum_of(tensors);
  for (const auto& [key, value] : metadata) texts[key] = value;
  header[kMetadata] = texts;
  size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    if (header.contains(name)) throw std::invalid_argument("safetensors: two tensors are named " + name);
    header[name] = {{"dtype", name_of(tensor.scalar_type(), name)},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, offset + tensor.nbytes()}}};
    offset += tensor.nbytes();
  }
  return padded(io::json_text(header));
}

/// The header with its checksum, or without: both are as long.
std::string with_checksum(std::string header, const std::string& checksum) {
  const std::string key = std::string(1, '"').append(kChecksum).append("\":\"");
  const size_t place = header.find(key);
  if (place != std::string::npos) header.replace(place + key.size(), checksum.size(), checksum);
  return header;
}

/// A tensor as the header describes it.
struct Range {
  std::string name;
  torch::ScalarType type = torch::kFloat;
  std::vector<int64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

/// The order of the safetensors library: by dtype, then by name. Models' own orders are others.
bool is_library_order(const std::vector<Range>& ranges) {
  std::set<torch::ScalarType> before;
  for (size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].type == ranges[i - 1].type) {
      if (ranges[i].name < ranges[i - 1].name) return false;
    } else if (!before.insert(ranges[i - 1].type).second || before.contains(ranges[i].type)) {
      return false;
    }
  }
  return ranges.size() > 1;
}

/// Reads one file, naming it in every complaint.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path), file_(path) {}

  SafetensorsFile read() {
    read_header();
    SafetensorsFile result;
    result.metadata = metadata();
    std::vector<Range> ranges = read_ranges();
    io::Checksum checksum;
    checksum.add(with_checksum(text_, kNoChecksum));
    for (const Range& range : ranges) {
      torch::Tensor tensor = torch::empty(range.shape, range.type);
      if (!file_.read(tensor.data_ptr(), tensor.nbytes())) fail("it ends within " + range.name);
      checksum.add(tensor.data_ptr(), tensor.nbytes());
      result.tensors.emplace_back(range.name, tensor);
    }
    verify(io::to_hex(checksum.value()), is_library_order(ranges), result);
    return result;
  }

  Metadata read_metadata() {
    read_header();
    return metadata();
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw io::DamagedFile(path_.string() + ": " + what); }

  void read_header() {
    const uint64_t size = file_.size();
    uint64_t header_size = 0;
    if (size < sizeof(header_size))
      fail("expected a header of at least 8 bytes; got " + std::to_string(size) + " bytes");
    constexpr uint64_t kMostPointer = 1024;
    if (size <= kMostPointer) {
      const std::string pointer = io::describe_pointer(io::read_file(path_));
      if (!pointer.empty()) throw std::runtime_error(path_.string() + pointer);
    }
    if (!file_.read(&header_size, sizeof(header_size))) fail("it ends within its first 8 bytes");
    constexpr uint64_t kMostHeader = 100U << 20;
    if (header_size > size - 8 || header_size > kMostHeader) {
      fail("the header is said to have " + std::to_string(header_size) + " bytes; the file has " +
           std::to_string(size));
    }
    text_.resize(header_size);
    if (!file_.read(text_.data(), header_size)) fail("it ends within its header");
    try {
      header_ = io::parse_json(text_, path_.string());
    } catch (const io::JsonError& error) {
      fail("the header is not a JSON object: " + error.reason());
    }
    if (!header_.is_object()) fail("the header is not a JSON object");
  }

  /// In the order of their bytes, which follow each other to the file's end.
  std::vector<Range> read_ranges() const {
    std::vector<Range> ranges;
    for (const auto& [name, entry] : header_.items()) {
      if (name != kMetadata) ranges.push_back(parse_entry(name, entry));
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
    const uint64_t bytes = file_.size() - 8 - text_.size();
    if (expected != bytes) {
      fail("the tensors end at byte " + std::to_string(expected) + "; the data has " + std::to_string(bytes));
    }
    return ranges;
  }

  /// Whether the header is one that write_safetensors() could have written.
  bool is_own_header() const {
    const auto entry = header_.find(kMetadata);
    if (entry == header_.end() || padded(io::json_text(header_)) != text_) return false;
    std::vector<std::string> keys;
    for (const auto& [key, value] : entry->items()) keys.push_back(key);
    size_t first = 0;  // of those in the alphabet's order
    for (const char* const key : {kFormat, kChecksum, kTensorsChecksum}) {
      if (first < keys.size() && keys[first] == key) ++first;
    }
    return std::is_sorted(keys.begin() + static_cast<std::ptrdiff_t>(first), keys.end()) && first > 0;
  }

  /// `found` is what the first checksum should say. Another program that writes the file again keeps both.
  void verify(const std::string& found, bool library_order, SafetensorsFile& result) const {
    const auto take = [&](const char* key) {
      const auto node = result.metadata.extract(key);
      return node.empty() ? std::string() : node.mapped();
    };
    const std::string said = take(kChecksum);
    const std::string said_of_tensors = take(kTensorsChecksum);
    if (said.empty()) return;
    result.checksum_verified = said == found;
    if (result.checksum_verified) return;
    // Where the second checksum is to decide, a header that may be the library's is taken for one.
    result.rewritten = !is_own_header() || (library_order && !said_of_tensors.empty());
    const std::string way_out =
        " Where a program was meant to write it again, take the keys that begin with \"lighthouse.\" out of its "
        "metadata";
    if (!result.rewritten) {
      fail("the file is damaged: its checksum says " + said + ", its bytes give " + found +
           (library_order ? "." + way_out : ""));
    }
    if (said_of_tensors.empty()) return;
    result.checksum_verified = said_of_tensors == checksum_of(result.tensors);
    if (!result.checksum_verified) {
      fail("the file is damaged, or a program changed its tensors and kept the old checksum." + way_out);
    }
  }

  Metadata metadata() const {
    Metadata metadata;
    const auto entry = header_.find(kMetadata);
    if (entry == header_.end()) return metadata;
    if (!entry->is_object()) fail("__metadata__ must be an object of strings");
    for (const auto& [key, value] : entry->items()) {
      if (!value.is_string()) fail("__metadata__." + key + " must be a string");
      metadata[key] = value.get<std::string>();
    }
    return metadata;
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
    auto product = static_cast<int64_t>(bytes);  // without the zeros, since strides are computed without them
    for (const auto& extent : entry["shape"]) {
      const auto value = extent.get<uint64_t>();
      if (__builtin_mul_overflow(product, std::max<uint64_t>(value, 1), &product)) {
        fail(name + " is larger than 2^63 bytes");
      }
      bytes *= value;
      range.shape.push_back(static_cast<int64_t>(value));
    }
    range.begin = entry["data_offsets"][0].get<uint64_t>();
    range.end = entry["data_offsets"][1].get<uint64_t>();
    if (range.end < range.begin || range.end - range.begin != bytes) {
      fail(name + " of shape " + io::json_text(entry["shape"]) + " and dtype " + dtype_name + " needs " +
           std::to_string(bytes) + " bytes; its data_offsets are " + io::json_text(entry["data_offsets"]));
    }
    return range;
  }

  std::filesystem::path path_;
  io::InputFile file_;
  std::string text_;  // the header
  Json header_;
};

std::string shape_text(const torch::Tensor& tensor) {
  std::ostringstream text;
  text << tensor.sizes();
  return text.str();
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors, const Metadata& metadata) {
  NamedTensors plain;
  for (const auto& [name, tensor] : tensors) plain.emplace_back(name, tensor.detach().to(torch::kCPU).contiguous());
  const std::string header = header_of(plain, metadata);
  io::Checksum checksum;
  checksum.add(header);
  for (const auto& [name, tensor] : plain) checksum.add(tensor.data_ptr(), tensor.nbytes());
  io::AtomicFile file(path);
  const uint64_t header_size = header.size();
  file.write(&header_size, sizeof(header_size));
  file.write(with_checksum(header, io::to_hex(checksum.value())));
  for (const auto& [name, tensor] : plain) file.write(tensor.data_ptr(), tensor.nbytes());
  file.commit();
}

SafetensorsFile read_safetensors(const std::filesystem::path& path) { return Reader(path).read(); }

Metadata read_safetensors_metadata(const std::filesystem::path& path) { return Reader(path).read_metadata(); }

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
