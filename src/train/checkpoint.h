// A training run at one step, whole: all that the next step depends on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "model/decoder.h"
#include "model/safetensors.h"
#include "train/config.h"
#include "train/environment.h"
#include "train/optimizer.h"

namespace lighthouse::train {

/// Where a run stands. The data's position is the step: order is a function of the seed and the step alone.
struct Position {
  int64_t step = 0;         ///< Optimiser steps done.
  int64_t stages_done = 0;  ///< Stages that ended, their last validation included.
  double seconds = 0;       ///< Of training.
};

struct Checkpoint {
  Position position;
  RunConfig config;
  Environment environment;
  uint64_t data_fingerprint = 0;
  uint64_t metrics_bytes = 0;         ///< Length of metrics.jsonl: the lines of the steps done, and no more.
  model::NamedTensors weights;        ///< Under the parameters' names.
  model::NamedTensors first_moments;  ///< AdamW's running means of gradients, under the same names...
  model::NamedTensors second_moments;
  model::NamedTensors optimizer_steps;  ///< ...and its count of steps, int64 of no dimension.
  torch::Tensor random_state;           ///< Of torch's CPU generator, uint8 [bytes].
};

/// Everything but position, environment, data and metrics, which are the caller's. Tensors on the CPU are shared,
/// others copied to it.
Checkpoint take_checkpoint(const RunConfig& config, const model::Decoder& decoder, const AdamW& optimizer);

/// Puts weights, optimiser and generator back. Throws std::runtime_error naming each tensor that is missing,
/// unexpected, or of another shape or dtype; nothing is changed then.
void restore_checkpoint(const Checkpoint& checkpoint, model::Decoder& decoder, AdamW& optimizer,
                        const std::string& source);

/// One safetensors file with a checksum, whole or not at all. Throws std::runtime_error with the path and reason.
void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);
/// Throws std::runtime_error naming the file and what is wrong in it.
Checkpoint read_checkpoint(const std::filesystem::path& path);

/// The place of a step's checkpoint in a folder, and the checkpoints of a folder, oldest first.
std::filesystem::path checkpoint_path(const std::filesystem::path& folder, int64_t step);
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& folder);

}  // namespace lighthouse::train
