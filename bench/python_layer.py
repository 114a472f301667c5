"""What the layer costs beside its inner attention call when it is called from Python.

    ./run python bench/python_layer.py [--n 32768 65536] [--no-dense]

`./run bench` measures the same in C++, with stages, memory and pages. This is the view of a user of lighthouse_attention.attention:
forward and backward, "beside" being the layer's time less that of the inner call of the same iteration (`inner=` times it
forward, hooks on its autograd node backward). Medians of one run; H=4, D=64, L=3, p=4, k=N/64, float32.
"""

import argparse
import statistics
import time

import torch

import lighthouse_attention as lighthouse


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


def forward_backward(function, leaves: list[torch.Tensor], grad: torch.Tensor) -> float:
    """Milliseconds of one forward and backward."""
    for leaf in leaves:
        leaf.grad = None
    start = time.perf_counter()
    function(*leaves).backward(grad)
    return 1e3 * (time.perf_counter() - start)


def measure(n: int, repeats: int, with_dense: bool) -> str:
    shape = (1, 4, n, 64)
    leaves = [torch.randn(shape, requires_grad=True) for _ in range(3)]
    grad, timed = torch.randn(shape), TimedInner()
    options = dict(num_levels=3, pooling_factor=4)  # k about N / 64, the default

    def layer(q, k, v):
        return lighthouse.attention(q, k, v, inner=timed, **options)

    for _ in range(2):
        forward_backward(layer, leaves, grad)  # warm up
    whole, inner = [], []
    for _ in range(repeats):
        whole.append(forward_backward(layer, leaves, grad))
        inner.append(timed.forward_ms + timed.backward_ms)
    beside = statistics.median(w - i for w, i in zip(whole, inner))
    ms, inner_ms = statistics.median(whole), statistics.median(inner)
    row = f"{n:8d} {lighthouse.retained_length(n, **options):7d} {ms:10.1f} {inner_ms:10.1f} {beside:9.1f} {100 * beside / inner_ms:8.1f}%"
    if with_dense:
        dense = forward_backward(lambda q, k, v: lighthouse.attention(q, k, v, num_levels=1), leaves, grad)
        row += f" {dense:10.1f} {dense / ms:7.1f}x"
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[32768, 65536], help="sequence lengths")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--no-dense", action="store_true", help="leave dense attention out: it takes a minute at 64K")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; forward + backward, ms")
    print(f"{'N':>8} {'S':>7} {'layer':>10} {'inner':>10} {'beside':>9} {'of it':>9} {'dense':>10} {'ratio':>8}")
    for n in arguments.n:
        print(measure(n, arguments.repeats, not arguments.no_dense), flush=True)


if __name__ == "__main__":
    main()
