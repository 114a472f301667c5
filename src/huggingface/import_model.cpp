#include "huggingface/import_model.h"

#include <torch/types.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "huggingface/llama_config.h"
#include "io/atomic_file.h"
#include "io/atomic_folder.h"
#include "model/parameter_list.h"
#include "model/shards.h"
#include "train/run_folder.h"
#include "train/stored_model.h"

namespace lighthouse::huggingface {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHead = "lm_head.weight";
constexpr const char* kEmbedding = "model.embed_tokens.weight";

/// Files that belong to a model beside its weights, by how their names begin.
bool is_carried(const std::string& name) {
  constexpr std::array kBeginnings = {"config.json",  "generation_config.json",
                                      "tokenizer",    "special_tokens_map.json",
                                      "vocab.json",   "merges.txt",
                                      "added_tokens", "chat_template",
                                      "LICENSE",      "NOTICE"};
  return std::any_of(kBeginnings.begin(), kBeginnings.end(), [&](const char* text) { return name.starts_with(text); });
}

std::vector<fs::path> files_to_carry(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file() && is_carried(entry.path().filename().string())) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// Takes out what files of older releases hold beside the parameters. Names what was taken.
std::vector<std::string> leave_out(model::NamedTensors& tensors, const model::ModelConfig& config,
                                   const std::string& source) {
  std::vector<std::string> left_out;
  const auto take = [&](const auto& is_extra, const std::string& why) {
    std::erase_if(tensors, [&](const auto& item) {
      if (!is_extra(item)) return false;
      left_out.push_back(item.first + ": " + why);
      return true;
    });
  };
  take([](const auto& item) { return item.first.ends_with(".rotary_emb.inv_freq"); },
       "the configuration gives the frequencies");
  if (!config.tie_word_embeddings) return left_out;
  const auto embedding =
      std::find_if(tensors.begin(), tensors.end(), [](const auto& item) { return item.first == kEmbedding; });
  if (embedding == tensors.end()) return left_out;  // named as missing later
  const torch::Tensor values = embedding->second;
  take(
      [&](const auto& item) {
        if (item.first != kHead) return false;
        if (item.second.sizes() != values.sizes() || !torch::equal(item.second.to(values.scalar_type()), values)) {
          throw std::runtime_error(source +
                                   ": lm_head.weight differs from model.embed_tokens.weight, and "
                                   "tie_word_embeddings is true; expected false, or equal tensors");
        }
        return true;
      },
      "the same as model.embed_tokens.weight");
  return left_out;
}

void expect_float_types(const model::NamedTensors& tensors, const std::string& source) {
  std::string wrong;
  for (const auto& [name, tensor] : tensors) {
    const auto type = tensor.scalar_type();
    if (type == torch::kFloat || type == torch::kBFloat16 || type == torch::kHalf) continue;
    wrong += "\n  " + name + ": " + c10::toString(type);
  }
  if (!wrong.empty())
    throw std::runtime_error(source + ": expected tensors of float32, bfloat16 or float16; got" + wrong);
}

}  // namespace

ImportReport import_model(const fs::path& folder, const fs::path& out) {
  if (!fs::is_directory(folder)) {
    throw std::runtime_error(folder.string() + " is no folder; expected one with config.json and model.safetensors");
  }
  if (fs::exists(out) && (!fs::is_directory(out) || !fs::is_empty(out))) {
    throw std::invalid_argument(out.string() + " exists already; choose another folder");
  }
  const LlamaConfig config = read_llama_config(folder / kLlamaConfigFile);
  model::NamedTensors tensors = model::read_shards(folder);
  ImportReport report;
  report.model = config.model;
  report.max_position_embeddings = config.max_position_embeddings;
  report.left_out = leave_out(tensors, config.model, folder.string());
  model::expect_parameters(tensors, config.model, folder.string());
  expect_float_types(tensors, folder.string());
  for (const auto& [name, tensor] : tensors) report.parameters += tensor.numel();

  train::RunConfig run;
  run.output_dir = out.string();
  run.model = config.model;
  run.data.context_length = config.max_position_embeddings;
  io::AtomicFolder files(out);
  const fs::path carried = files.temporary() / train::kCarriedFolder;
  fs::create_directory(carried);
  for (const fs::path& file : files_to_carry(folder)) {
    io::copy_file(file, carried / file.filename());
    report.carried.push_back(file.filename().string());
  }
  io::write_file(files.temporary() / train::kConfigName, train::to_toml(run));
  model::write_safetensors(files.temporary() / train::kModelName, tensors);
  files.commit();
  return report;
}

}  // namespace lighthouse::huggingface
