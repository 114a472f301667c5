// A training run at one step, whole: all that the next step depends on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "model/decoder.h"
#include "model/safetensors.h"
#include "train/config.h"
#include "train/data_record.h"
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
  DataRecord data;
  int64_t skipped_in_a_row = 0;       ///< Steps before it that changed nothing, because they were not finite.
  bool rewritten = false;             ///< Read from a file that another program had written again.
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
/// Throws io::DamagedFile naming the file and what is wrong in it, io::SystemError where it cannot be read, and other
/// std::runtime_errors for a sound file that is something else.
Checkpoint read_checkpoint(const std::filesystem::path& path);

/// Of a checkpoint's file, from its header alone.
int64_t read_skipped_in_a_row(const std::filesystem::path& path);

/// The place of a step's checkpoint in a folder.
std::filesystem::path checkpoint_path(const std::filesystem::path& folder, int64_t step);
/// The step of a checkpoint's name; none where the name is another.
std::optional<int64_t> step_of_name(const std::string& name);

/// The checkpoints of a folder, oldest first; none where it is not there. Throws io::SystemError where it cannot be
/// listed: that says nothing about what is in it.
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& folder);
/// Those that were found damaged and put aside.
std::vector<std::filesystem::path> list_damaged(const std::filesystem::path& folder);
/// What is added to their names.
inline constexpr const char* kDamagedSuffix = ".damaged";

}  // namespace lighthouse::train
