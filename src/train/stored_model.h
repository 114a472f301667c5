// A model on disk, with the configuration that it was trained or imported with.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "model/decoder.h"
#include "model/safetensors.h"
#include "train/config.h"
#include "train/data_record.h"

namespace lighthouse::train {

/// The folder, in a run's or an imported model's, of files that came with the model from elsewhere: its tokenizer, and
/// the configuration that names its special tokens.
inline constexpr const char* kCarriedFolder = "huggingface";

struct StoredModel {
  RunConfig config;                ///< Of an imported model: without data.paths and stages.
  model::NamedTensors weights;     ///< In the types and the order of the file.
  std::filesystem::path file;      ///< That the weights are from.
  std::filesystem::path carried;   ///< The folder of what came with the model; empty: nothing did.
  std::optional<DataRecord> data;  ///< What it was trained on; none where that is not known.
  std::string remark;              ///< For the user: which files were damaged, so that this one was read; mostly empty.
};

/// From a run's folder its result or, while there is none, the newest checkpoint that is whole; from the folder of an
/// imported model; or from a checkpoint's file. The weights have the shapes that the configuration says. Throws
/// std::runtime_error or std::invalid_argument naming the file and what is wrong, or what there is instead of a model:
/// nothing, a model in Hugging Face's format, a run that has written none.
StoredModel read_stored_model(const std::filesystem::path& path);

/// Its configuration alone.
RunConfig read_stored_config(const std::filesystem::path& path);

/// What came with the model at `path`, which may be a checkpoint's file; an empty path where nothing did.
std::filesystem::path carried_files(const std::filesystem::path& path);

/// A stored model ready to compute, in float32.
struct LoadedRun {
  RunConfig config;
  model::Decoder decoder{nullptr};
  std::optional<DataRecord> data;  ///< As of a StoredModel.
  std::string remark;              ///< The same.
};
LoadedRun load_run(const std::filesystem::path& path);

}  // namespace lighthouse::train
