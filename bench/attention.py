"""Times Lighthouse attention on the CPU: beside dense attention, and beside its own inner attention call.

    ./run bench                      the default cases
    ./run bench --n 16384 32768      other lengths
    ./run bench --json results.json  the same figures, for plots

Everything is measured in one run on the same inputs, forward and backward, through the public Python functions. "beside
inner" is the layer's time less the inner attention call's, both of the same iteration (`inner=` times the call forward, hooks
on its autograd node backward), over the call's: what selection, gather, scatter, the two adjoints and all dispatch cost.
Medians; absolute times of a shared machine are not stable, ratios of one run are.
"""

import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import time

import torch

import lighthouse_attention as lighthouse


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[32768, 65536], help="sequence lengths")
    parser.add_argument("--heads", type=int, default=4, help="query and key/value heads")
    parser.add_argument("--head-dim", type=int, default=64)
    parser.add_argument("--num-levels", type=int, default=3)
    parser.add_argument("--pooling-factor", type=int, default=4)
    parser.add_argument("--top-k", type=int, default=None, help="default: N / 64")
    parser.add_argument("--causal-selection", action="store_true")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--no-dense", action="store_true", help="leave dense attention out: it takes minutes at 64K")
    parser.add_argument("--json", help="write the figures to this file")
    return parser.parse_args()


def inputs(shape: tuple[int, ...], dtype: torch.dtype) -> list[torch.Tensor]:
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(3)]


def forward_backward(function, leaves: list[torch.Tensor], grad: torch.Tensor) -> float:
    """Milliseconds of one forward and backward."""
    for leaf in leaves:
        leaf.grad = None
    start = time.perf_counter()
    function(*leaves).backward(grad)
    return 1e3 * (time.perf_counter() - start)


class TimedInner:
    """The default inner attention, with the milliseconds of its last forward and backward."""

    def __init__(self) -> None:
        self.forward_ms = self.backward_ms = 0.0

    def __call__(self, q, k, v, is_causal: bool, scale: float) -> torch.Tensor:
        start = time.perf_counter()
        out = torch.ops.lighthouse.dense_attention(q, k, v, scale)
        self.forward_ms = 1e3 * (time.perf_counter() - start)
        began = []
        out.grad_fn.register_prehook(lambda grads: began.append(time.perf_counter()))
        out.grad_fn.register_hook(lambda *grads: self._end(began))
        return out

    def _end(self, began: list[float]) -> None:
        self.backward_ms = 1e3 * (time.perf_counter() - began[0])


def measure(n: int, arguments: argparse.Namespace) -> dict:
    dtype = getattr(torch, arguments.dtype)
    options = dict(num_levels=arguments.num_levels, pooling_factor=arguments.pooling_factor,
                   top_k=arguments.top_k or n // 64)  # fmt: skip
    s = lighthouse.retained_length(n, **options)
    shape = (1, arguments.heads, n, arguments.head_dim)
    leaves, grad = inputs(shape, dtype), torch.randn(shape, dtype=dtype)

    timed = TimedInner()

    def layer(q, k, v):
        return lighthouse.attention(q, k, v, inner=timed, causal_selection=arguments.causal_selection, **options)

    def dense(q, k, v):
        return lighthouse.attention(q, k, v, num_levels=1)

    for _ in range(2):
        forward_backward(layer, leaves, grad)  # warm up
    whole, inner, beside = [], [], []
    for _ in range(arguments.repeats):
        whole.append(forward_backward(layer, leaves, grad))
        inner.append(timed.forward_ms + timed.backward_ms)
        beside.append(whole[-1] - inner[-1])
    result = dict(N=n, S=s, **options, layer_ms=statistics.median(whole), inner_ms=statistics.median(inner),
                  beside_ms=statistics.median(beside))  # fmt: skip
    result["beside_inner"] = result["beside_ms"] / result["inner_ms"]
    if not arguments.no_dense:
        dense_repeats = 3 if n <= 16384 else 1
        result["dense_ms"] = statistics.median(forward_backward(dense, leaves, grad) for _ in range(dense_repeats))
        result["dense_over_layer"] = result["dense_ms"] / result["layer_ms"]
    return result


def stages(n: int, arguments: argparse.Namespace) -> list[tuple[str, float, float]]:
    """(name, milliseconds, floor): the floor is the stage's bytes at the speed of a large copy in this run."""
    dtype = getattr(torch, arguments.dtype)
    options = dict(num_levels=arguments.num_levels, pooling_factor=arguments.pooling_factor,
                   top_k=arguments.top_k or n // 64)  # fmt: skip
    shape = (1, arguments.heads, n, arguments.head_dim)
    q, k, v = (x.detach() for x in inputs(shape, dtype))
    tree = lighthouse.select(q, k, causal_selection=arguments.causal_selection, **options)
    rows = lighthouse.gather(q, k, v, tree)
    ops, pyramid = torch.ops.lighthouse, tree[2:]

    def median_of(function) -> float:
        times = []
        for _ in range(11):
            start = time.perf_counter()
            function()
            times.append(1e3 * (time.perf_counter() - start))
        return statistics.median(times)

    full, short = q.nbytes, rows[0].nbytes
    per_byte = median_of(q.clone) / (2 * full)
    cases = [
        ("select", lambda: lighthouse.select(q, k, **options), 2 * full),
        ("gather", lambda: lighthouse.gather(q, k, v, tree), 3 * full + 3 * short),
        ("scatter", lambda: lighthouse.scatter(rows[0], tree), full + short),
        ("scatter backward", lambda: ops.scatter_backward(q, tree.nodes, *pyramid), full + short),
        ("gather backward", lambda: ops.gather_backward(*rows, tree.nodes, n, *pyramid), 3 * full + 3 * short),
    ]
    return [(name, median_of(function), size * per_byte) for name, function, size in cases]


def commit() -> str:
    """The checkout's commit, with "+" where files differ from it; "unknown" outside a checkout."""
    folder = pathlib.Path(__file__).resolve().parent
    try:
        return subprocess.run(["git", "describe", "--always", "--dirty=+"], cwd=folder, capture_output=True, text=True,
                              check=True).stdout.strip()  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def main() -> None:
    arguments = parse_arguments()
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, "
          f"{arguments.dtype}, B=1 H={arguments.heads} D={arguments.head_dim}; forward + backward, ms")  # fmt: skip
    print(f"{'N':>8} {'S':>7} {'k':>6} {'layer':>9} {'inner':>9} {'beside':>8} {'beside/inner':>13} {'dense':>10} "
          f"{'dense/layer':>12}")  # fmt: skip
    results = []
    for n in arguments.n:
        r = measure(n, arguments)
        results.append(r)
        dense = f"{r['dense_ms']:10.1f} {r['dense_over_layer']:11.1f}x" if "dense_ms" in r else f"{'-':>10} {'-':>12}"
        print(f"{n:8d} {r['S']:7d} {r['top_k']:6d} {r['layer_ms']:9.1f} {r['inner_ms']:9.1f} {r['beside_ms']:8.1f} "
              f"{100 * r['beside_inner']:12.1f}% {dense}", flush=True)  # fmt: skip
    for result in results:
        print(f"\nN={result['N']}: stages beside their floor (bytes at a large copy's speed in this run)")
        result["stages"] = []
        for name, ms, floor in stages(result["N"], arguments):
            result["stages"].append(dict(name=name, ms=ms, floor_ms=floor))
            print(f"  {name:<18} {ms:7.2f} ms   floor {floor:6.2f} ms   {ms / floor:5.2f}x")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            setting = f"forward + backward, {arguments.dtype}, H={arguments.heads}, D={arguments.head_dim}, " \
                      f"{torch.get_num_threads()} CPU threads"  # fmt: skip
            versions = dict(torch=torch.__version__, commit=commit(), machine=platform.machine())
            json.dump(dict(**versions, setting=setting, results=results), file, indent=1)


if __name__ == "__main__":
    main()
