// The CUDA back end: the CPU's functions on a stream. Nothing here waits for the device, allocates on it, or uses
// floating atomics, so calls can be captured in a graph and the same inputs give the same bits every run.
//
// Pointers are the device's. Shapes are the caller's to check (ops/ does); sequences must be shorter than 2^31 tokens.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/parameters.h"
#include "lighthouse/geometry.h"

namespace lighthouse::kernels::cuda {

/// A cudaStream_t.
using Stream = void*;

/// What a launch returned: null, or the CUDA error's text.
using Status = const char*;

[[nodiscard]] Status score(const ScoreParameters& parameters, Stream stream);
[[nodiscard]] Status pool_scores(const PoolScoresParameters& parameters, Stream stream);

[[nodiscard]] Status rotary(const RotaryParameters& parameters, Stream stream);

/// Bytes of workspace that select() needs.
size_t select_workspace(const SelectParameters& parameters);
[[nodiscard]] Status select(const SelectParameters& parameters, void* workspace, Stream stream);

/// Arrays that share a tree: what one launch moves. All have the sizes of `common` but their own heads and addresses.
struct WindowArrays {
  static constexpr int kMost = 3;
  int count = 0;
  struct {
    int64_t heads = 0;
    Rows tokens;
    Rows retained;
  } arrays[kMost];
};
/// `common.heads`, `.tokens` and `.retained` are not read.
[[nodiscard]] Status window_reduce(const WindowParameters& common, const WindowArrays& arrays, Stream stream);
[[nodiscard]] Status window_broadcast(const WindowParameters& common, const WindowArrays& arrays, Stream stream);

[[nodiscard]] Status list_entries(const ListParameters& parameters, Stream stream);

}  // namespace lighthouse::kernels::cuda
