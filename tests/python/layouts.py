"""Tensors of every layout that torch allows, and every operator on each beside its contiguous copy: for the CPU and the GPU."""

from typing import Callable, Iterator

import torch
from torch import Tensor

import lighthouse_attention as lighthouse

OPS = torch.ops.lighthouse

Make = Callable[..., Tensor]


def _overlapping(row_step: int) -> Make:
    def make(batch: int, heads: int, n: int, dim: int, **options) -> Tensor:
        length = row_step * n + dim
        return torch.randn(batch * heads * length, **options).as_strided((batch, heads, n, dim), (heads * length, length, row_step, 1))

    return make


def _expanded(dims: tuple) -> Make:
    def make(*sizes: int, **options) -> Tensor:
        return torch.randn(*(1 if dim in dims else size for dim, size in enumerate(sizes)), **options).expand(sizes)

    return make


def _everything_at_once(batch: int, heads: int, n: int, dim: int, **options) -> Tensor:
    """Every row starts one element after the one before it, whichever dimension is stepped."""
    return torch.randn(batch + heads + n + dim, **options).as_strided((batch, heads, n, dim), (1, 1, 1, 1))


LAYOUTS: dict[str, Make] = {
    "rows overlap, one element apart": _overlapping(1),
    "rows overlap, two elements apart": _overlapping(2),
    "all dimensions one element apart": _everything_at_once,
    "one row": _expanded((2,)),
    "one head": _expanded((1,)),
    "one batch row": _expanded((0,)),
    "one value a row": _expanded((3,)),
    "one value": _expanded((0, 1, 2, 3)),
    "one row of one head": _expanded((1, 2)),
    "heads after rows": lambda b, h, n, d, **o: torch.randn(b, n, h, d, **o).transpose(1, 2),
    "batch after heads": lambda b, h, n, d, **o: torch.randn(h, b, n, d, **o).transpose(0, 1),
    "rows last": lambda b, h, n, d, **o: torch.randn(b, h, d, n, **o).transpose(2, 3),
    "a slice of a packed projection": lambda b, h, n, d, **o: torch.randn(b, n, 3 * h, d, **o)[:, :, h : 2 * h].transpose(1, 2),
    "every second value": lambda b, h, n, d, **o: torch.randn(b, h, n, 2 * d, **o)[..., ::2],
    "every second row": lambda b, h, n, d, **o: torch.randn(b, h, 2 * n, d, **o)[:, :, ::2],
    "one element past an aligned start": lambda b, h, n, d, **o: torch.randn(b * h * n * d + 1, **o)[1:].view(b, h, n, d),
    "rows of an odd step": lambda b, h, n, d, **o: torch.randn(b, h, n, d + 1, **o)[..., :d],
    "rows of an odd step and start": lambda b, h, n, d, **o: torch.randn(b, h, n, d + 1, **o)[..., 1:],
}


def plain(x: Tensor) -> Tensor:
    return x.clone(memory_format=torch.contiguous_format)


def angles(n: int, dim: int, device: str) -> tuple[Tensor, Tensor]:
    frequencies = 10000.0 ** (-torch.arange(0, dim, 2, device=device).double() / dim)
    table = torch.outer(torch.arange(n, device=device).double(), frequencies)
    return table.cos().float(), table.sin().float()


def _of_tokens(q: Tensor, k: Tensor, v: Tensor, options: dict) -> Iterator[tuple[str, object]]:
    """What takes q [B, H, N, D], k and v [B, K, N, D]."""
    cos, sin = angles(q.size(2), q.size(3), q.device)
    tree = lighthouse.select(plain(q), plain(k), **options)
    pyramid = tuple(tree[2:])
    yield "select", lighthouse.select(q, k, **options).nodes
    yield "select by scores", lighthouse.select(q, k, scores=(k[..., 0], v[..., 0]), **options).nodes
    for inverse in (False, True):
        yield f"rotary, inverse {inverse}", OPS.rotary(q, k, cos, sin, inverse)
    rotated = lighthouse.rotary_score(q, k, cos, sin, **options)
    yield "rotary_score", [*rotated[:2], *rotated[2]]
    yield "gather", lighthouse.gather(q, k, v, tree)
    yield "scatter_backward", OPS.scatter_backward(q, tree.nodes, *pyramid)


def _of_rows(q: Tensor, k: Tensor, v: Tensor, tree: lighthouse.Tree) -> Iterator[tuple[str, object]]:
    """What takes rows [.., S, D] of the gathered sequence."""
    pyramid = tuple(tree[2:])
    yield "scatter", lighthouse.scatter(q, tree)
    yield "gather_backward", OPS.gather_backward(q, k, v, tree.nodes, tree.num_tokens, *pyramid)


def _gradients(q: Tensor, k: Tensor, v: Tensor, options: dict) -> Iterator[tuple[str, object]]:
    """The layer and dense attention, and their gradients for a gradient that is one value."""
    for name, inner in (("attention", lighthouse.attention), ("dense attention", lambda *x, **_: OPS.dense_attention(*x, None))):
        leaves = [x.detach().requires_grad_() for x in (q, k, v)]
        out = inner(*leaves, **options)
        yield name, [out.detach(), *torch.autograd.grad(out.sum(), leaves)]


def _worst(got: Tensor, want: Tensor) -> float:
    """The largest difference over the largest value, and over 1."""
    if not got.numel():
        return 0.0
    return (got.double() - want.double()).abs().max().item() / want.double().abs().max().clamp(min=1).item()


def check_every_operator(
    device: str, dtype: torch.dtype, limit: float, ours: float = 0.0, dim: int = 8, names: tuple = tuple(LAYOUTS)
) -> None:
    """Within `ours` of the largest value (0: to the bit); where torch's kernels take part, within `limit` of it."""
    batch, heads, kv_heads, n = 2, 4, 2, 70
    options = dict(num_levels=2, pooling_factor=4, top_k=4, num_tiles=1)
    for name in names:
        make = lambda h, rows: LAYOUTS[name](batch, h, rows, dim, dtype=dtype, device=device)  # noqa: B023, E731
        tokens = make(heads, n), make(kv_heads, n), make(kv_heads, n)
        plain_tokens = [plain(x) for x in tokens]
        tree = lighthouse.select(*plain_tokens[:2], **options)
        rows = [make(h, tree.retained_length) for h in (heads, kv_heads, kv_heads)]
        pairs = [*zip(_of_tokens(*tokens, options), _of_tokens(*plain_tokens, options), strict=True)]
        pairs += zip(_of_rows(*rows, tree), _of_rows(*map(plain, rows), tree), strict=True)
        for (op, got), (_, want) in pairs:
            got, want = ([x] if isinstance(x, Tensor) else x for x in (got, want))
            for index, (a, b) in enumerate(zip(got, want, strict=True)):
                most = ours if a.is_floating_point() else 0
                assert a.shape == b.shape and _worst(a, b) <= most, f"{op}, output {index}: {name} ({dtype}), {_worst(a, b)}"
        for (op, got), (_, want) in zip(_gradients(*tokens, options), _gradients(*plain_tokens, options), strict=True):
            for index, (a, b) in enumerate(zip(got, want, strict=True)):
                assert _worst(a, b) <= limit, f"{op}, output {index}: {name} ({dtype}), {_worst(a, b)}"


def check_strange_trees(device: str) -> None:
    """Nodes that are one tree for all heads, or every second word of memory."""
    q = torch.randn(2, 4, 70, 8, device=device)
    options = dict(num_levels=2, pooling_factor=4, top_k=4, num_tiles=1)
    tree = lighthouse.select(q, q, **options)
    nodes = tree.nodes[:1, :1].expand_as(tree.nodes)
    wide = torch.zeros(*tree.nodes.shape, 2, dtype=torch.int32, device=device)
    wide[..., 0] = tree.nodes
    for strange in (nodes, wide[..., 0]):
        strange_tree, plain_tree = (tree._replace(nodes=x) for x in (strange, plain(strange)))
        rows = lighthouse.gather(q, q, q, plain_tree)
        for call in (
            lambda t: lighthouse.gather(q, q, q, t)[0],
            lambda t: lighthouse.scatter(rows[0], t),  # noqa: B023
            lambda t: t.entries(),
            lambda t: t.writes(),
            lambda t: OPS.scatter_backward(q, t.nodes, *t[2:]),
            lambda t: OPS.gather_backward(*rows, t.nodes, t.num_tokens, *t[2:])[0],  # noqa: B023
        ):
            assert torch.equal(call(strange_tree), call(plain_tree))
