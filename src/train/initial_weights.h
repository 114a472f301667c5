// Runs that start from the weights of another model: of a run, a checkpoint or an imported model.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "model/decoder.h"
#include "train/config.h"

namespace lighthouse::train {

/// load_config() for a run, with `init` in place of the file's own where it is not empty. Keys of [model] that the file
/// leaves out are those of the model that the weights are of. When resuming a run that is there already, its own
/// config.toml says where it started from unless `init` or the file does, and has the model.
RunConfig load_run_config(const std::filesystem::path& path, const std::vector<std::string>& overrides,
                          const std::string& init, bool resume);

/// Puts the weights that config.init names into the decoder. Throws std::runtime_error naming each key of [model] that
/// makes another model of them. `allow_changes` lets pass what fits the weights' shapes all the same: rotary base and
/// scaling, and the norms' epsilon. Which layers attend densely, and how fresh weights are drawn, may always differ.
/// Returns the stored model's remark for the user, mostly empty.
std::string load_initial_weights(const RunConfig& config, model::Decoder& decoder, bool allow_changes);

}  // namespace lighthouse::train
