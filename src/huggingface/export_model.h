// A trained model as a folder that transformers, and what reads its format, loads.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace lighthouse::huggingface {

struct ExportOptions {
  std::optional<torch::ScalarType> type;     ///< Of the tensors; none: as they are stored.
  uint64_t max_shard_bytes = 5'000'000'000;  ///< Larger models are written as several files with an index.
  bool overwrite = false;                    ///< Replace an exported model that is there.
};

struct ExportReport {
  int64_t parameters = 0;
  std::string dtype;      ///< Of most bytes.
  std::string tokenizer;  ///< What was written: "of bytes", "carried along"; empty: none.
  std::string remark;     ///< Of the stored model (train::StoredModel).
};

/// Writes `folder`, whole or not at all: config.json, the weights, and the tokenizer: of bytes for a vocabulary of 256,
/// or what came with an imported model. `run` is what train::read_stored_model() takes. Throws std::runtime_error or
/// std::invalid_argument where the folder holds anything (with overwrite: anything but a model), where the weights do
/// not fit the configuration, and where a value is beyond float16.
ExportReport export_model(const std::filesystem::path& run, const std::filesystem::path& folder,
                          const ExportOptions& options);

}  // namespace lighthouse::huggingface
