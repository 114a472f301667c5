"""More of one layer on the GPU: in a CUDA graph at 16,384 tokens, memory and time at 524,288 with k = 2048, deterministic mode.

    ./run python bench/gpu_extras.py

H=8, D=128, bf16, L=3, p=4.
"""

import statistics

import torch

import lighthouse_attention as lighthouse
from gpu_layer import timed

OPS = torch.ops.lighthouse


def inputs(n: int) -> list:
    return [torch.randn(1, 8, n, 128, dtype=torch.bfloat16, device="cuda", requires_grad=True) for _ in range(3)]


def median(function, repeats: int = 9, calls: int = 1) -> float:
    function()
    return statistics.median(timed(function, calls) for _ in range(repeats))


def captured(function):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            function()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph


def graphs() -> None:
    q, k, v = inputs(16384)
    grad = torch.randn_like(q)
    layer = lambda: torch.autograd.grad(lighthouse.attention(q, k, v, top_k=256), (q, k, v), grad)  # noqa: E731
    dense = lambda: torch.autograd.grad(OPS.dense_attention(q, k, v, None), (q, k, v), grad)  # noqa: E731
    graph = captured(layer)
    times = {name: median(f) for name, f in dict(layer=layer, graph=graph.replay, dense=dense).items()}
    print(f"N=16384 forward+backward: eager {times['layer']:.3f} ms ({times['dense'] / times['layer']:.1f}x), in a graph "
          f"{times['graph']:.3f} ms ({times['dense'] / times['graph']:.1f}x), dense {times['dense']:.3f} ms")  # fmt: skip


def memory() -> None:
    q, k, v = inputs(524288)
    grad = torch.randn_like(q)

    def peak(function) -> float:
        function()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = function()
        del result
        return (torch.cuda.max_memory_allocated() - before) / 1e9

    layer = lambda: lighthouse.attention(q, k, v, top_k=2048)  # noqa: E731
    both = lambda: torch.autograd.grad(layer(), (q, k, v), grad)  # noqa: E731
    with torch.no_grad():
        forward, forward_ms = peak(layer), median(layer)
    print(f"N=524288 k=2048: forward {forward_ms:.2f} ms, {forward:.2f} GB beside the inputs; forward+backward "
          f"{median(both):.2f} ms, {peak(both):.2f} GB")  # fmt: skip
    torch.use_deterministic_algorithms(True)
    try:
        print(f"  deterministic: forward+backward {median(both):.2f} ms, {peak(both):.2f} GB")
    finally:
        torch.use_deterministic_algorithms(False)


if __name__ == "__main__":
    graphs()
    memory()
