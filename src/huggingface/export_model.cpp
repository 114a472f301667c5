#include "huggingface/export_model.h"

#include <torch/types.h>

#include <algorithm>
#include <map>
#include <stdexcept>

#include "huggingface/byte_tokenizer.h"
#include "huggingface/llama_config.h"
#include "io/atomic_file.h"
#include "io/atomic_folder.h"
#include "model/parameter_list.h"
#include "model/shards.h"
#include "train/stored_model.h"

namespace lighthouse::huggingface {
namespace {

namespace fs = std::filesystem;

/// A typing error must not remove somebody's files.
void check_place(const fs::path& folder, bool overwrite) {
  if (!fs::exists(folder)) return;
  if (!fs::is_directory(folder)) throw std::invalid_argument(folder.string() + " is a file; expected a folder");
  if (fs::is_empty(folder)) return;
  if (!overwrite) {
    throw std::invalid_argument(folder.string() + " is not empty; choose another folder, or pass --overwrite");
  }
  const bool weights = fs::exists(folder / "model.safetensors") || fs::exists(folder / "model.safetensors.index.json");
  if (!weights || !fs::exists(folder / kLlamaConfigFile)) {
    throw std::invalid_argument(folder.string() + " holds no " + (weights ? kLlamaConfigFile : "model.safetensors") +
                                ", so it is no exported model, and --overwrite leaves it alone");
  }
}

std::string dtype_name(torch::ScalarType type) {
  switch (type) {
    case torch::kFloat: return "float32";
    case torch::kBFloat16: return "bfloat16";
    case torch::kHalf: return "float16";
    default: throw std::invalid_argument(std::string("no dtype of a model: ") + c10::toString(type));
  }
}

/// The type that most bytes have.
torch::ScalarType main_type(const model::NamedTensors& tensors) {
  std::map<torch::ScalarType, uint64_t> bytes;
  for (const auto& [name, tensor] : tensors) bytes[tensor.scalar_type()] += tensor.nbytes();
  return std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

void convert(model::NamedTensors& tensors, torch::ScalarType type) {
  for (auto& [name, tensor] : tensors) {
    const torch::Tensor converted = tensor.to(type);
    if (type == torch::kHalf && (converted.isinf() & ~tensor.isinf()).any().item<bool>()) {
      throw std::runtime_error(name + " has values beyond float16's largest, 65504; choose bfloat16 or float32");
    }
    tensor = converted;
  }
}

LlamaConfig config_of(const train::StoredModel& stored) {
  LlamaConfig config{stored.config.model, stored.config.data.context_length, {}};
  if (!stored.carried.empty()) {
    const LlamaConfig before = read_llama_config(stored.carried / kLlamaConfigFile);
    config.max_position_embeddings = std::max(config.max_position_embeddings, before.max_position_embeddings);
    config.special_tokens = before.special_tokens;
  }
  return config;
}

std::string write_tokenizer(const train::StoredModel& stored, const fs::path& folder) {
  bool carried = false;
  if (!stored.carried.empty()) {
    for (const auto& entry : fs::directory_iterator(stored.carried)) {
      const fs::path name = entry.path().filename();
      if (name == kLlamaConfigFile) continue;
      io::copy_file(entry.path(), folder / name);
      carried |= name.string().starts_with("tokenizer");
    }
  }
  if (carried) return "carried along";
  constexpr int64_t kBytes = 256;
  if (!stored.carried.empty() || stored.config.model.vocab_size != kBytes) return "";
  io::write_file(folder / "tokenizer.json", byte_tokenizer_json());
  io::write_file(folder / "tokenizer_config.json", byte_tokenizer_config_json());
  return "of bytes";
}

}  // namespace

ExportReport export_model(const fs::path& run, const fs::path& folder, const ExportOptions& options) {
  check_place(folder, options.overwrite);
  train::StoredModel stored = train::read_stored_model(run);
  model::expect_parameters(stored.weights, stored.config.model, stored.file.string());
  if (options.type) convert(stored.weights, *options.type);

  ExportReport report;
  report.remark = stored.remark;
  report.dtype = dtype_name(main_type(stored.weights));
  for (const auto& [name, tensor] : stored.weights) report.parameters += tensor.numel();
  const std::string config = to_config_json(config_of(stored), report.dtype);
  io::AtomicFolder files(folder);
  io::write_file(files.temporary() / kLlamaConfigFile, config);
  model::write_shards(files.temporary(), stored.weights, options.max_shard_bytes);
  report.tokenizer = write_tokenizer(stored, files.temporary());
  files.commit();
  return report;
}

}  // namespace lighthouse::huggingface
