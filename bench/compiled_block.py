"""A decoder block with Lighthouse attention: torch.compile(fullgraph=True) beside eager, and beside dense attention.

    ./run python bench/compiled_block.py                       on a GPU, bfloat16: N = 8192 ... 131072
    ./run python bench/compiled_block.py --device cpu          small sizes, float32

The block is RMSNorm, projections, rotary embedding, attention, projection, RMSNorm, SwiGLU; forward and backward, B=1. All
variants take turns in one run; medians by the device's events. The last line counts compilations: the layer needs one for all
lengths; Inductor makes another where its own reductions change with the length (on the CPU at 4096 tokens).
"""

import argparse
import statistics
import time
from typing import Callable

import torch
import torch._dynamo.testing
from torch import Tensor, nn

import lighthouse_attention as lighthouse


class Block(nn.Module):
    """Llama's decoder block; `attend` is called with q [B, H, N, D] and k, v [B, K, N, D]."""

    def __init__(self, width: int, heads: int, kv_heads: int, attend: Callable[..., Tensor]) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.dim, self.attend = heads, kv_heads, width // heads, attend
        self.norms = nn.ModuleList(nn.RMSNorm(width) for _ in range(2))
        self.qkv = nn.Linear(width, (heads + 2 * kv_heads) * self.dim, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up, self.gate = (nn.Linear(width, 3 * width, bias=False) for _ in range(2))
        self.down = nn.Linear(3 * width, width, bias=False)

    def rotate(self, x: Tensor) -> Tensor:
        n, half = x.shape[2], self.dim // 2
        frequencies = 500000.0 ** (-torch.arange(half, device=x.device) / half)
        angle = torch.arange(n, device=x.device)[:, None] * frequencies  # [N, D/2]
        first, second = x.float().chunk(2, -1)
        cos, sin = angle.cos(), angle.sin()
        return torch.cat((first * cos - second * sin, second * cos + first * sin), -1).to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.qkv(self.norms[0](x)).unflatten(-1, (-1, self.dim)).transpose(1, 2)  # [B, H + 2K, N, D]
        q, k, v = rows.split([self.heads, self.kv_heads, self.kv_heads], 1)
        x = x + self.out(self.attend(self.rotate(q), self.rotate(k), v).transpose(1, 2).flatten(2))
        y = self.norms[1](x)
        return x + self.down(nn.functional.silu(self.gate(y)) * self.up(y))


def milliseconds(function: Callable[[], object], device: str) -> float:
    if device == "cpu":
        start = time.perf_counter()
        function()
        return 1e3 * (time.perf_counter() - start)
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    function()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def dense(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.ops.lighthouse.dense_attention(q, k, v, None)


def measure(n: int, blocks: dict[str, Callable[[Tensor], Tensor]], width: int, device: str, dtype: torch.dtype, repeats: int) -> dict[str, float]:
    """Median milliseconds of forward and backward of each block, in turns."""
    x = torch.randn(1, n, width, device=device, dtype=dtype, requires_grad=True)
    grad = torch.randn_like(x)
    times: dict[str, list[float]] = {name: [] for name in blocks}
    for i in range(repeats + 2):
        for name, block in blocks.items():
            taken = milliseconds(lambda block=block: block(x).backward(grad), device)
            if i >= 2:  # warmed up, and compiled
                times[name].append(taken)
    return {name: statistics.median(taken) for name, taken in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--n", type=int, nargs="+", help="lengths; 8192 ... 131072, on the CPU 2048 4096 8192")
    parser.add_argument("--width", type=int, help="2048 with heads of 128, on the CPU 128 with heads of 32")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--paper-selection", action="store_true", help="the paper's rule; default: locally causal selection")
    parser.add_argument("--no-dense", action="store_true", help="leave dense attention out")
    arguments = parser.parse_args()
    gpu = arguments.device == "cuda"
    lengths = arguments.n or ([8192, 16384, 32768, 65536, 131072] if gpu else [2048, 4096, 8192])
    width, head = (arguments.width or 2048, 128) if gpu else (arguments.width or 128, 32)
    if width % (2 * head) != 0:
        parser.error(f"--width must be a multiple of {2 * head}; got {width}")
    heads, dtype = width // head, torch.bfloat16 if gpu else torch.float32
    # One budget for all lengths: hyperparameters are constants of a compiled graph.
    options = dict(num_levels=3, pooling_factor=4, top_k=max(2, min(lengths) // 64 * 2), causal_selection=not arguments.paper_selection)
    torch.manual_seed(0)
    block = Block(width, heads, heads // 2, lambda q, k, v: lighthouse.attention(q, k, v, **options)).to(arguments.device, dtype)
    counter = torch._dynamo.testing.CompileCounterWithBackend("inductor")
    blocks = {"eager": block, "compiled": torch.compile(block, fullgraph=True, dynamic=True, backend=counter)}
    if not arguments.no_dense:
        dense_block = Block(width, heads, heads // 2, dense).to(arguments.device, dtype)
        dense_block.load_state_dict(block.state_dict())
        blocks["dense eager"] = dense_block
    where = torch.cuda.get_device_name() if gpu else f"CPU, {torch.get_num_threads()} threads"
    print(f"{where}, torch {torch.__version__}, {str(dtype).removeprefix('torch.')}; width {width}, H={heads}, K={heads // 2}, D={head}; {options}")
    print("forward + backward of a block, ms")
    print(f"{'N':>8} {'S':>8}" + "".join(f"{name:>14}" for name in blocks) + f"{'eager/compiled':>17}")
    shape = {name: options[name] for name in ("num_levels", "pooling_factor", "top_k")}
    for n in lengths:
        found = measure(n, blocks, width, arguments.device, dtype, arguments.repeats)
        print(f"{n:8d} {lighthouse.retained_length(n, **shape):8d}" + "".join(f"{ms:14.2f}" for ms in found.values())
              + f"{found['eager'] / found['compiled']:16.2f}x", flush=True)  # fmt: skip
    print(f"compilations: {counter.frame_count}")


if __name__ == "__main__":
    main()
