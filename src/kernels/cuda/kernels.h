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

/// Of contiguous rows, on 16 bytes where they have more than 512 columns. Forward: where `addend` is given,
/// sum = input + addend, and output is the norm of it.
/// Backward: grad_input = the norm's gradient + grad_residual (null: 0); output, where given, gets the normal form;
/// grad_gain gets norm_blocks(rows) rows whose sum is the gain's gradient.
struct NormParameters {
  ScalarType scalar_type = ScalarType::kFloat32;
  int64_t rows = 0;
  int64_t columns = 0;
  float epsilon = 0;
  const void* input = nullptr;
  const void* addend = nullptr;
  const float* gain = nullptr;
  void* sum = nullptr;
  void* output = nullptr;
  const void* grad_output = nullptr;
  const void* grad_residual = nullptr;
  void* grad_input = nullptr;
  float* grad_gain = nullptr;
};
/// Whether the kernels take such rows.
bool norm_fits(ScalarType type, int64_t columns);
int64_t norm_blocks(int64_t rows);
[[nodiscard]] Status rms_norm(const NormParameters& parameters, Stream stream);
[[nodiscard]] Status rms_norm_backward(const NormParameters& parameters, Stream stream);

/// Of contiguous rows: gate_up [rows, 2 columns], output [rows, columns] (in backward it may be null). Backward where
/// grad_output is given.
struct SwigluParameters {
  ScalarType scalar_type = ScalarType::kFloat32;
  int64_t rows = 0;
  int64_t columns = 0;
  const void* gate_up = nullptr;
  void* output = nullptr;
  const void* grad_output = nullptr;
  void* grad_gate_up = nullptr;
};
[[nodiscard]] Status swiglu(const SwigluParameters& parameters, Stream stream);

[[nodiscard]] Status list_entries(const ListParameters& parameters, Stream stream);

}  // namespace lighthouse::kernels::cuda
