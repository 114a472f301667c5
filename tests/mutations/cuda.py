"""Faults in the CUDA back end. Judged where there is a GPU: python tests/mutations/run.py --group cuda --jobs 4"""

import subprocess

from mutation import Mutation, mutation

LAUNCH = "src/kernels/cuda/launch.h"
SCORE = "src/kernels/cuda/score.cu"
SCORING = "src/kernels/cuda/scoring.cuh"
SELECT = "src/kernels/cuda/select.cu"
ROTARY = "src/kernels/cuda/rotary.cu"
REDUCE = "src/kernels/cuda/window_reduce.cu"
BROADCAST = "src/kernels/cuda/window_broadcast.cu"
WINDOWS = "src/kernels/cuda/window_launch.cuh"
NORM = "src/kernels/cuda/rms_norm.cu"
SWIGLU = "src/kernels/cuda/swiglu.cu"
CUDA = "src/ops/cuda.cpp"
FUSED = "src/ops/fused_cuda.cpp"
ARGUMENTS = "src/ops/kernel_arguments.cpp"
INNER = "src/ops/inner_kernel.cpp"

TREES = ("gpu:test_trees test_norms test_zeros",)
MOVES = ("gpu:test_gather test_every_element",)
LAYOUTS = ("gpu:test_every_layout",)
GRID = ("gpu:test_more_than",)
ROTATION = ("gpu:test_rotary",)
FUSION = ("gpu:test_rms_norm test_swiglu",)
HARM = ("gpu:test_garbage test_errors_of",)

CUDA_FAULTS = [
    # ---- launches ----
    mutation(
        "cuda-rank-unbounded", "ranks are followed wherever a foreign tree's nodes lead", LAUNCH, HARM,
        ("return static_cast<int>(min(static_cast<unsigned>(rank), static_cast<unsigned>(p.last_rank)));", "return rank;"),
    ),
    mutation(
        "cuda-error-of-others", "an error that another's call left is reported as the launch's", LAUNCH, HARM,
        ("if (error == cudaSuccess) return nullptr;", "if (error == cudaSuccess && cudaPeekAtLastError() == cudaSuccess) return nullptr;"),
    ),
    mutation(
        "cuda-default-stream", "kernels run on the default stream, whichever is current", LAUNCH, ("gpu:test_graph",),
        ("config.stream = stream_of(stream);", ""),
    ),
    # ---- scores and selection ----
    mutation(
        "cuda-tiny-norms", "norms whose squares float32 loses are taken from it", SCORING, TREES,
        ("norm[r] < 3e38F && norm[r] > 1e-30F", "norm[r] < 3e38F"),
    ),
    mutation(
        "cuda-score-many-trees", "scores of what a grid does not hold are not written", SCORE, GRID,
        ("item < 2 * s.trees; item += gridDim.y", "item < 2 * s.trees; item += 2 * s.trees"),
    ),
    mutation(
        "cuda-select-ties", "of equal scores one too many is taken", SELECT, TREES,
        ("equals_before + rank < left", "equals_before + rank <= left"),
    ),
    mutation(
        "cuda-select-negative-zero", "-0 ranks below +0", SELECT, TREES,
        ("__float_as_uint(score + 0.0F)", "__float_as_uint(score)"),
    ),
    # ---- gather, scatter and their adjoints ----
    mutation(
        "cuda-pool-weight", "pooled rows are sums, not means", REDUCE, MOVES,
        ("sum.rounded(this->weight(level))", "sum.rounded(1)"),
    ),
    mutation(
        "cuda-silent-rows-write", "tokens that do not write are added to the output", BROADCAST, MOVES,
        ("own.rank >= 0 && own.counts ?", "own.rank >= 0 ?"),
    ),
    mutation(
        "cuda-window-many-batches", "batch rows that a grid does not hold are not written", WINDOWS, GRID,
        ("batch < w.batch; batch += gridDim.z", "batch < w.batch; batch += w.batch"),
    ),
    mutation(
        "cuda-window-alignment", "rows are read in pieces of 16 bytes wherever they start", LAUNCH, LAYOUTS,
        ("return on_pieces(rows.data) && whole(head_dim)", "return whole(head_dim)"),
    ),
    # ---- rotary ----
    mutation(
        "cuda-rotary-inverse", "the inverse rotation is the rotation", ROTARY, ROTATION,
        ("parameters.inverse ? -1.0F : 1.0F", "parameters.inverse ? 1.0F : 1.0F"),
    ),
    mutation(
        "cuda-rotary-strides", "rotated rows have whatever strides empty_like gives overlapping ones", ARGUMENTS, LAYOUTS,
        ("if (like.sym_stride(-1) == 1) return like;", "return like;"),
    ),
    # ---- norms and SwiGLU ----
    mutation(
        "cuda-norm-residual", "the residual's gradient is lost in the norm's", NORM, FUSION,
        ("- value * pull + widen(residual[r].values[i])", "- value * pull"),
    ),
    mutation(
        "cuda-norm-gain", "the gain's gradient forgets the norm", NORM, FUSION,
        ("grad_gain[i] += slope * value * inverse;", "grad_gain[i] += slope * value;"),
    ),
    mutation(
        "cuda-norm-start", "rows that start between pieces are handed on as they are", FUSED, FUSION,
        ("return starts ? rows :", "return starts || rows.defined() ? rows :"),
    ),
    mutation(
        "cuda-swiglu-alignment", "SwiGLU reads pieces of 16 bytes wherever its rows start", SWIGLU, FUSION,
        (" && on_pieces(p.gate_up, p.output, p.grad_output, p.grad_gate_up)", ""),
    ),
    mutation(
        "cuda-swiglu-many-rows", "rows that a grid does not hold are not written", SWIGLU, FUSION,
        ("first < s.rows; first += int64_t{gridDim.y} * kRows", "first < s.rows; first += s.rows"),
    ),
    mutation(
        "cuda-swiglu-gradient-strides", "the gradient is read as if it were contiguous", FUSED, FUSION,
        ("const Tensor grad = grad_in.contiguous();", "const Tensor& grad = grad_in;"),
    ),
    # ---- the kernels inside ----
    mutation(
        "cuda-deterministic-cudnn", "deterministic mode runs cuDNN all the same", INNER, ("gpu:test_repeats",),
        (" && !must_be_deterministic();", ";"),
    ),
]  # fmt: skip


def _num_gpus() -> int:
    try:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout.count("GPU ")
    except OSError:
        return 0


OF_TWO_GPUS: list[Mutation] = [
    mutation(
        "cuda-select-guard", "selection by windows' scores runs on the current device, whichever the tensors' is", CUDA,
        ("gpu:test_a_second",), ("const c10::cuda::CUDAGuard guard(key_scores.device());", ""),
    ),
    mutation(
        "cuda-broadcast-guard", "scatter into memory of the caller's runs on the current device", FUSED,
        ("gpu:test_a_second",), ("const c10::cuda::CUDAGuard guard(tree.nodes.device());", ""),
    ),
]  # fmt: skip
if _num_gpus() > 1:
    CUDA_FAULTS += OF_TWO_GPUS
