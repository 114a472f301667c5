#include "train/stored_model.h"

#include <stdexcept>

#include "io/checksum.h"
#include "train/checkpoint.h"
#include "train/run_folder.h"

namespace lighthouse::train {

namespace fs = std::filesystem;

namespace {

constexpr ConfigUse kModelOnly{.trains = false, .model_of_init = nullptr};

StoredModel from_checkpoint(const fs::path& path) {
  Checkpoint checkpoint = read_checkpoint(path);
  return {
      std::move(checkpoint.config), std::move(checkpoint.weights), path, {}, io::to_hex(checkpoint.data_fingerprint)};
}

}  // namespace

RunConfig read_stored_config(const fs::path& path) {
  if (fs::is_regular_file(path)) return read_checkpoint(path).config;
  return load_config(path / kConfigName, {}, kModelOnly);
}

fs::path carried_files(const fs::path& path) {
  // A checkpoint stands in RUN/checkpoints.
  const fs::path folder = fs::is_regular_file(path) ? fs::absolute(path).parent_path().parent_path() : path;
  const fs::path carried = folder / kCarriedFolder;
  return fs::is_directory(carried) ? carried : fs::path();
}

StoredModel read_stored_model(const fs::path& path) {
  StoredModel stored;
  if (fs::is_regular_file(path)) {
    stored = from_checkpoint(path);
  } else {
    RunConfig config = read_stored_config(path);
    const fs::path weights = path / kModelName;
    const auto checkpoints = list_checkpoints(path / kCheckpointsName);
    if (!fs::exists(weights) && !checkpoints.empty()) {
      stored = from_checkpoint(checkpoints.back());
      stored.config = std::move(config);
    } else {
      model::SafetensorsFile file = model::read_safetensors(weights);
      stored = {std::move(config), std::move(file.tensors), weights, {}, file.metadata[kFingerprintKey]};
    }
  }
  stored.carried = carried_files(path);
  return stored;
}

LoadedRun load_run(const fs::path& path) {
  StoredModel stored = read_stored_model(path);
  LoadedRun run{std::move(stored.config), nullptr, std::move(stored.data_fingerprint)};
  run.decoder = model::Decoder(run.config.model);
  model::load_parameters(*run.decoder, stored.weights, stored.file.string());
  return run;
}

}  // namespace lighthouse::train
