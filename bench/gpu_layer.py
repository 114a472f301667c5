"""Times one layer on the GPU: Lighthouse, dense cuDNN, the inner call alone, stages beside their floors.

    ./run python bench/gpu_layer.py [--n 16384 ... 524288] [--json FILE]
    ncu --kernel-name "regex:reduce_kernel|broadcast_kernel" ./run python bench/gpu_layer.py --once --n 524288     each stage once, for a profiler

Everything is interleaved in one run, medians by CUDA events, random data, bf16, B=1 H=8 D=128, L=3 p=4 k=N/64, through the public
attention(q, k, v), eager, score and select included.
"""

import argparse
import functools
import itertools
import json
import random
import statistics

import torch

import lighthouse_attention as lighthouse

OPS = torch.ops.lighthouse


@functools.cache
def spacer() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.empty(1 << 29, dtype=torch.uint8, device="cuda"), torch.empty(1 << 29, dtype=torch.uint8, device="cuda")


def timed(function, calls: int) -> float:
    # A large copy comes first, so that no sample begins with the caches or the clock that the one before left behind.
    source, target = spacer()
    for _ in range(40):
        target.copy_(source)
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(calls):
        function()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / calls


def orders(names: list[str], rounds: int) -> list:
    """What follows dense attention finds a hotter card and a lower clock: none shall always be the one. Every order comes equally
    often where there are few and the rounds are a multiple of their number."""
    draw = random.Random(0)
    if len(names) > 3:
        return [draw.sample(names, len(names)) for _ in range(rounds)]
    every = list(itertools.permutations(names))
    draw.shuffle(every)
    return [every[i % len(every)] for i in range(rounds)]


def interleaved(functions: dict, repeats: int, calls: int = 1, once: tuple = ()) -> tuple[dict, dict]:
    """Medians and all samples, in turns. Several calls in a row hide what Python takes to make them, as a training step does;
    those of `once` are long enough alone."""
    for function in functions.values():
        function()
        function()
    times = {name: [] for name in functions}
    for order in orders(sorted(functions), repeats):
        for name in order:
            times[name].append(timed(functions[name], 1 if name in once else calls))
    return {name: statistics.median(values) for name, values in times.items()}, times


def measure(n: int, heads: int, dim: int, causal: bool, layout: str, repeats: int, stages_only: bool) -> dict:
    def make():
        x = torch.randn(1, n, heads, dim, dtype=torch.bfloat16, device="cuda")
        return (x.transpose(1, 2) if layout == "bnhd" else x.transpose(1, 2).contiguous()).requires_grad_()

    q, k, v = make(), make(), make()
    options = dict(num_levels=3, pooling_factor=4)  # k about N / 64, the default
    tree = lighthouse.select(q, k, causal_selection=causal, **options)
    with torch.no_grad():
        rows = [x.detach().requires_grad_() for x in lighthouse.gather(q, k, v, tree)]
    s = tree.retained_length
    layer = lambda: lighthouse.attention(q, k, v, causal_selection=causal, **options)  # noqa: E731
    dense = lambda: OPS.dense_attention(q, k, v, None)  # noqa: E731
    inner = lambda: OPS.dense_attention(*rows, None)  # noqa: E731
    grad, short_grad = torch.randn_like(q), torch.randn_like(rows[0])

    def both(function, leaves, g):
        return lambda: torch.autograd.grad(function(), leaves, g)

    def without_grad(function):
        def call():
            with torch.no_grad():
                function()
        return call

    # Short ones are called several times in a row: the GPU would wait for Python otherwise.
    calls = max(1, 8 * 131072 // n) if n <= 131072 else 1
    forward_calls = {"layer": without_grad(layer), "inner": without_grad(inner)}
    full_calls = {"layer": both(layer, (q, k, v), grad), "inner": both(inner, rows, short_grad)}
    if not stages_only:
        forward_calls["dense"] = without_grad(dense)
        full_calls["dense"] = both(dense, (q, k, v), grad)
    forward, forward_samples = interleaved(forward_calls, repeats, calls, once=("dense",))
    full, full_samples = interleaved(full_calls, repeats, calls, once=("dense",))
    forward.setdefault("dense", float("nan"))
    full.setdefault("dense", float("nan"))
    args, nd, sd = tuple(tree[2:]), q.nbytes, rows[0].nbytes
    source, target = torch.empty(nd // 2, dtype=torch.bfloat16, device="cuda").normal_(), torch.empty(nd // 2, dtype=torch.bfloat16, device="cuda")
    with torch.no_grad():
        stages, _ = interleaved({
            "copy": lambda: target.copy_(source),
            "select": lambda: lighthouse.select(q, k, causal_selection=causal, **options),
            "gather": lambda: lighthouse.gather(q, k, v, tree),
            "scatter": lambda: lighthouse.scatter(rows[0], tree),
            "scatter_backward": lambda: OPS.scatter_backward(grad, tree.nodes, *args),
            "gather_backward": lambda: OPS.gather_backward(*rows, tree.nodes, n, *args),
            "cascade": lambda: lighthouse.select(q, k, scores=scores, causal_selection=causal, **options),
        } if (scores := (torch.rand(1, heads, n, device="cuda"), torch.rand(1, heads, n, device="cuda"))) else {}, 2 * repeats, calls=max(8, 24 * 98304 // n))  # fmt: skip
    per_byte = stages["copy"] / (2 * nd)
    floors = {"select": 2 * nd, "gather": 3 * nd + 3 * sd, "scatter": nd + sd, "scatter_backward": nd + sd,
              "gather_backward": 3 * nd + 3 * sd}  # fmt: skip
    floors = {name: size * per_byte for name, size in floors.items()}
    beside_forward = floors["select"] + floors["gather"] + floors["scatter"]
    beside = beside_forward + floors["scatter_backward"] + floors["gather_backward"]
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    both(layer, (q, k, v), grad)()
    peak = torch.cuda.max_memory_allocated() - before
    return dict(n=n, s=s, causal=causal, layout=layout, forward=forward, full=full, stages=stages, floors=floors,
                forward_ratio=forward["dense"] / forward["layer"], full_ratio=full["dense"] / full["layer"],
                forward_of_limit=(forward["inner"] + beside_forward) / forward["layer"],
                full_of_limit=(full["inner"] + beside) / full["layer"], peak=peak,
                samples=dict(forward=forward_samples, full=full_samples))  # fmt: skip


def run_once(n: int, heads: int = 8, dim: int = 128) -> None:
    q, k, v = (torch.randn(1, heads, n, dim, dtype=torch.bfloat16, device="cuda") for _ in range(3))
    tree = lighthouse.select(q, k, num_levels=3, pooling_factor=4)
    rows = lighthouse.gather(q, k, v, tree)
    lighthouse.scatter(rows[0], tree)
    OPS.scatter_backward(q, tree.nodes, *tree[2:])
    OPS.gather_backward(*rows, tree.nodes, n, *tree[2:])
    torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[16384, 32768, 65536, 98304, 131072, 262144, 524288])
    parser.add_argument("--repeats", type=int, default=6, help="rounds; a multiple of 6 has every order equally often (default: %(default)s)")
    parser.add_argument("--stages-only", action="store_true", help="without dense attention")
    parser.add_argument("--once", action="store_true", help="run each stage once, untimed")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    if arguments.once:
        for n in arguments.n:
            run_once(n)
        return
    results = []
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}")
    print(f"{'N':>7} {'rule':>7} {'layout':>6} | {'layer':>8} {'dense':>8} {'inner':>8} {'ratio':>6} {'limit':>6} | "
          f"{'layer':>8} {'dense':>8} {'inner':>8} {'ratio':>6} {'limit':>6} | peak GB")  # fmt: skip
    for n in arguments.n:
        for causal, layout in ((False, "bhnd"), (True, "bhnd"), (False, "bnhd"), (True, "bnhd")):
            r = measure(n, 8, 128, causal, layout, arguments.repeats, arguments.stages_only)
            results.append(r)
            f, g = r["forward"], r["full"]
            print(f"{n:7d} {'causal' if causal else 'paper':>7} {layout:>6} | {f['layer']:8.3f} {f['dense']:8.2f} {f['inner']:8.3f} "
                  f"{r['forward_ratio']:5.1f}x {100 * r['forward_of_limit']:5.1f}% | {g['layer']:8.3f} {g['dense']:8.2f} "
                  f"{g['inner']:8.3f} {r['full_ratio']:5.1f}x {100 * r['full_of_limit']:5.1f}% | {r['peak'] / 1e9:.2f}", flush=True)  # fmt: skip
            flops = 2 * 8 * 128  # of a causal forward pass, per query-key pair
            rate = lambda ms, length, passes: flops * length**2 * passes / ms / 1e9  # noqa: E731
            print(f"        TFLOP/s: dense {rate(f['dense'], n, 1):.0f}, inner {rate(f['inner'], r['s'], 1):.0f} forward; dense "
                  f"{rate(g['dense'], n, 3.5):.0f}, inner {rate(g['inner'], r['s'], 3.5):.0f} forward+backward", flush=True)  # fmt: skip
            torch.cuda.empty_cache()
    print("\nstages: ms (times the floor); cascade: select from given scores")
    for r in results:
        st, fl = r["stages"], r["floors"]
        print(f"{r['n']:7d} {'causal' if r['causal'] else 'paper':>7} {r['layout']:>6} " + "  ".join(
            f"{name} {st[name]:.3f} ({st[name] / fl[name]:.2f}x)" for name in fl) + f"  cascade {st['cascade']:.3f}"
            + f"  copy {2 * r['n'] * 8 * 128 * 2 / st['copy'] / 1e9:.2f} TB/s")  # fmt: skip
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
