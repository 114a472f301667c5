// A model on disk, with the configuration that it was trained or imported with.
#pragma once

#include <filesystem>

#include "model/decoder.h"
#include "model/safetensors.h"
#include "train/config.h"

namespace lighthouse::train {

/// The folder, in a run's or an imported model's, of files that came with the model from elsewhere: its tokenizer, and
/// the configuration that names its special tokens.
inline constexpr const char* kCarriedFolder = "huggingface";
/// In the metadata of model.safetensors.
inline constexpr const char* kFingerprintKey = "data_fingerprint";

struct StoredModel {
  RunConfig config;               ///< Of an imported model: without data.paths and stages.
  model::NamedTensors weights;    ///< In the types and the order of the file.
  std::filesystem::path file;     ///< That the weights are from.
  std::filesystem::path carried;  ///< The folder of what came with the model; empty: nothing did.
  std::string data_fingerprint;   ///< Of the data that it was trained on, in hexadecimal; empty where it is not known.
};

/// From a run's folder its result or, while there is none, the newest checkpoint; from the folder of an imported model;
/// or from a checkpoint's file. Throws std::runtime_error or std::invalid_argument naming the file and what is wrong.
StoredModel read_stored_model(const std::filesystem::path& path);

/// Its configuration alone.
RunConfig read_stored_config(const std::filesystem::path& path);

/// What came with the model at `path`, which may be a checkpoint's file; an empty path where nothing did.
std::filesystem::path carried_files(const std::filesystem::path& path);

/// A stored model ready to compute, in float32.
struct LoadedRun {
  RunConfig config;
  model::Decoder decoder{nullptr};
  std::string data_fingerprint;  ///< As of a StoredModel.
};
LoadedRun load_run(const std::filesystem::path& path);

}  // namespace lighthouse::train
