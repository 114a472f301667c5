// A model's weights in a folder, as Hugging Face lays them out: model.safetensors, or several files and an index.
#pragma once

#include <cstdint>
#include <filesystem>

#include "model/safetensors.h"

namespace lighthouse::model {

/// Writes model.safetensors where all tensors together have at most `max_shard_bytes`; otherwise files of at most that
/// (or of one tensor) named model-00001-of-0000N.safetensors, and model.safetensors.index.json.
void write_shards(const std::filesystem::path& folder, const NamedTensors& tensors, uint64_t max_shard_bytes);

/// Reads what such a folder holds; with both, model.safetensors counts. Throws std::runtime_error naming the file, and
/// each tensor that the index names and the files lack, or the other way round.
NamedTensors read_shards(const std::filesystem::path& folder);

}  // namespace lighthouse::model
