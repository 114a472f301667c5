// A run's folder: config.toml, metrics.jsonl, model.safetensors.
#pragma once

#include <filesystem>

#include "model/decoder.h"
#include "train/config.h"

namespace lighthouse::train {

/// Makes the folder and writes config.toml. Throws std::runtime_error if a run or a model is there
/// already, unless `overwrite`.
void create_run_folder(const RunConfig& config, bool overwrite);

/// Writes model.safetensors.
void save_model(const RunConfig& config, const model::Decoder& decoder);

/// A trained model and the configuration it was trained with, from its folder.
struct LoadedRun {
  RunConfig config;
  model::Decoder decoder{nullptr};
};
LoadedRun load_run(const std::filesystem::path& folder);

}  // namespace lighthouse::train
