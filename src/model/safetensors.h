// The safetensors file format: an 8-byte little-endian header length, a JSON header, then the tensors' bytes without
// holes.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace lighthouse::model {

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;
using Metadata = std::map<std::string, std::string>;

struct SafetensorsFile {
  NamedTensors tensors;  ///< In the order of their bytes.
  Metadata metadata;     ///< Without the checksums.
  /// Whether a checksum says that the tensors are as this project wrote them; one that does not fit is an error.
  bool checksum_verified = false;
  /// Another program wrote it since, and kept the checksums among the metadata. Files of older releases then
  /// have none that still says anything.
  bool rewritten = false;
};

/// Writes to a temporary name in the same folder, syncs, renames, so that `path` always holds a whole file. The
/// metadata get two checksums: over header and tensors as they stand in the file, and over the tensors whatever their
/// order, for files that another program writes again. Throws std::runtime_error with the path and the system's reason,
/// std::invalid_argument on a dtype without a name here.
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors, const Metadata& metadata = {});

/// Strict: sizes, dtypes, shapes and byte ranges must agree and leave no hole, and a checksum must fit. Throws
/// io::DamagedFile naming the file and what is wrong in it, io::SystemError where it cannot be read, and other
/// std::runtime_errors for what is sound and something else: a Git LFS pointer, a pipe.
SafetensorsFile read_safetensors(const std::filesystem::path& path);

/// The metadata alone, from the header; nothing is verified.
Metadata read_safetensors_metadata(const std::filesystem::path& path);

/// A module's parameters by name, as stored in its checkpoint.
NamedTensors named_parameters(const torch::nn::Module& module);

/// Copies tensors into a module's parameters. Throws std::runtime_error that lists what is missing, unexpected or of
/// another shape.
void load_parameters(torch::nn::Module& module, const NamedTensors& tensors, const std::string& source);

}  // namespace lighthouse::model
