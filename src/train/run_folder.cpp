#include "train/run_folder.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "model/safetensors.h"

namespace lighthouse::train {

namespace fs = std::filesystem;

void create_run_folder(const RunConfig& config, bool overwrite) {
  const fs::path folder(config.output_dir);
  for (const char* name : {"config.toml", "metrics.jsonl", "model.safetensors"}) {
    if (overwrite || !fs::exists(folder / name)) continue;
    throw std::runtime_error(folder.string() + " holds " + name +
                             " already; choose another output_dir, or pass --overwrite to replace it");
  }
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw std::runtime_error("cannot create the folder " + folder.string() + ": " + error.message());
  fs::remove(folder / "model.safetensors", error);  // of the run that is overwritten
  std::ofstream file(folder / "config.toml", std::ios::trunc);
  file << to_toml(config);
  file.close();
  if (!file)
    throw std::runtime_error("cannot write " + (folder / "config.toml").string() + ": " + std::strerror(errno));
}

void save_model(const RunConfig& config, const model::Decoder& decoder) {
  model::write_safetensors(fs::path(config.output_dir) / "model.safetensors", model::named_parameters(*decoder));
}

LoadedRun load_run(const fs::path& folder) {
  LoadedRun run{load_config(folder / "config.toml")};
  run.decoder = model::Decoder(run.config.model);
  const fs::path weights = folder / "model.safetensors";
  model::load_parameters(*run.decoder, model::read_safetensors(weights).tensors, weights.string());
  return run;
}

}  // namespace lighthouse::train
