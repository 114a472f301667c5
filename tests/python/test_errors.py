"""Bad input gets an error that names the operator, what was expected and what came."""

import pytest
import torch

import lighthouse_attention as lighthouse


def make(heads=2, n=64, dim=8, batch=1, dtype=torch.float32):
    return torch.randn(batch, heads, n, dim, dtype=dtype)


BAD_OPTIONS = [
    (dict(top_k=7), "top_k must be even"),
    (dict(top_k=0), "top_k must be even and at least 2; got top_k=0"),
    (dict(top_k=-4), "got top_k=-4"),
    (dict(top_k=4, num_tiles=4), r"top_k must be at least 2 \* num_tiles; got top_k=4, num_tiles=4"),
    (dict(top_k=12, num_tiles=4), "num_tiles must divide top_k / 2; got num_tiles=4, top_k=12"),
    (dict(top_k=8, num_tiles=0), "num_tiles must be between 1 and"),
    (dict(top_k=128, num_tiles=5), "num_tiles must be between 1 and the number of coarsest windows, 4; got num_tiles=5"),
    (dict(num_tiles=5), "num_tiles must be between 1 and the number of coarsest windows, 4; got num_tiles=5"),
    (dict(num_tiles=0), "num_tiles must be between 1 and"),
    (dict(pooling_factor=1), "pooling_factor must be at least 2; got 1"),
    (dict(num_levels=0), "num_levels must be between 1 and 64; got 0"),
    (dict(num_levels=65), "num_levels must be between 1 and 64; got 65"),
    (dict(causal_selection=True, cover_prefix=False), "causal_selection always covers the prefix"),
]


@pytest.mark.parametrize("options, message", BAD_OPTIONS)
def test_bad_options(options, message):
    q = make()
    with pytest.raises(ValueError, match=message):
        lighthouse.select(q, q, **options)
    with pytest.raises(ValueError, match=message):
        lighthouse.attention(q, q, q, **options)


BAD_SHAPES = [
    (make()[0], make(), make(), r"query must be \[B, H, N, D\]; got \[2, 64, 8\]"),
    (make(), make(n=63), make(), r"key must be \[B, K, N, D\] with B=1, N=64, D=8; got \[1, 2, 63, 8\]"),
    (make(), make(), make(dim=4), r"value must be .* D=8; got \[1, 2, 64, 4\]"),
    (make(), make(batch=2), make(), "key must be"),
    (make(heads=3), make(heads=2), make(heads=2), "multiple of the key heads K; got H=3, K=2"),
    (make(heads=2), make(heads=4), make(heads=4), "got H=2, K=4"),
    (make(heads=2), make(heads=1), make(heads=2), "value must have key's K=1 heads"),
]


@pytest.mark.parametrize("q, k, v, message", BAD_SHAPES)
def test_bad_shapes(q, k, v, message):
    with pytest.raises(ValueError, match="lighthouse::attention: .*" + message):
        lighthouse.attention(q, k, v, top_k=4)


def test_bad_dtypes():
    half, whole = make(dtype=torch.float16), torch.ones(1, 2, 64, 8, dtype=torch.int64)
    with pytest.raises(TypeError, match="float32, bfloat16 or float64; got Half"):
        lighthouse.attention(half, half, half, top_k=4)
    with pytest.raises(TypeError, match="got Long"):
        lighthouse.select(whole, whole, top_k=4)
    with pytest.raises(TypeError, match="key must have query's dtype, Float; got Double"):
        lighthouse.attention(make(), make().double(), make(), top_k=4)


def test_bad_devices():
    with pytest.raises(ValueError, match="key must be on query's device, cpu; got meta"):
        lighthouse.attention(make(), make().to("meta"), make(), top_k=4)


def test_bad_scores():
    q, scores = make(), torch.zeros(1, 2, 64)
    with pytest.raises(ValueError, match=r"query_scores must be \[B, K, N\] with B=1, K=2, N=64; got \[1, 2, 63\]"):
        lighthouse.select(q, q, top_k=4, scores=(scores[..., 1:], scores))
    with pytest.raises(TypeError, match="key_scores must be of a floating dtype; got Long"):
        lighthouse.select(q, q, top_k=4, scores=(scores, scores.long()))


def test_bad_trees():
    q = make(n=300)
    tree = lighthouse.select(q, q, num_levels=2, pooling_factor=4, top_k=4)
    with pytest.raises(ValueError, match="the tree is of N=300 tokens; got query .*N=64"):
        lighthouse.attention(make(), make(), make(), tree=tree)
    with pytest.raises(ValueError, match="the tree must be of B=2, K=2"):
        two = make(n=300, batch=2)
        lighthouse.gather(two, two, two, tree)
    with pytest.raises(ValueError, match=r"nodes must be \[B, K, 75\] for N=300"):
        lighthouse.gather(q, q, q, tree._replace(nodes=tree.nodes[..., 1:]))
    with pytest.raises(ValueError, match="output must be .* rows=91; got"):
        lighthouse.scatter(q, tree)
    with pytest.raises(ValueError, match="one of tree, scores and window_scores; got tree and scores"):
        lighthouse.attention(q, q, q, tree=tree, scores=(q[..., 0], q[..., 0]))


@pytest.mark.parametrize("made, taken", [(256, 16), (16, 256)])
def test_trees_of_another_budget(made, taken):
    """Read with another k, nodes would lead outside of the gathered rows, or leave some unwritten."""
    q = make(n=3000)
    tree = lighthouse.select(q, q, num_levels=3, pooling_factor=4, top_k=made, num_tiles=1)._replace(top_k=taken)
    for call in (lambda: lighthouse.gather(q, q, q, tree), tree.entries, tree.writes, lambda: lighthouse.attention(q, q, q, tree=tree)):
        with pytest.raises(ValueError, match=rf"those of these sizes, .*k={taken} .*got nodes of another selection"):
            call()


def test_trees_of_another_pooling_factor():
    """As many nodes and as long: only the tokens' places before their window's tell, and would lead before the first row."""
    q = make(n=16)
    nodes = lighthouse.select(q, q, num_levels=2, pooling_factor=2, top_k=4, num_tiles=1).nodes
    tree = lighthouse.Tree(nodes, 32, 2, 4, 2, 1)
    for call in (tree.entries, tree.writes):
        with pytest.raises(ValueError, match="those of pooling_factor=4; got nodes of another selection"):
            call()


def test_what_is_no_pair_of_scores():
    q, scores = make(), torch.zeros(1, 2, 64)
    for name in ("scores", "window_scores"):
        for wrong, got in (((), "tuple of nothing"), ((None, None), "tuple of NoneType, NoneType"), (torch.stack([scores, scores]), "Tensor"),
                           ((scores,) * 3, "tuple of Tensor, Tensor, Tensor"), (1, "int")):  # fmt: skip
            for call in (lambda: lighthouse.select(q, q, top_k=4, **{name: wrong}), lambda: lighthouse.attention(q, q, q, **{name: wrong})):
                with pytest.raises(TypeError, match=rf"{name} must be a pair of tensors, .*; got {got}$"):
                    call()


def test_what_is_no_tree():
    q = make(n=300)
    nodes = lighthouse.select(q, q, top_k=4).nodes
    for call in (lambda: lighthouse.attention(q, q, q, tree=nodes), lambda: lighthouse.gather(q, q, q, nodes), lambda: lighthouse.scatter(q, nodes)):
        with pytest.raises(TypeError, match="tree must be a Tree, as select returns it; got Tensor"):
            call()


def test_bad_ranks_of_select():
    q = make()
    with pytest.raises(ValueError, match=r"lighthouse::select: query must be \[B, H, N, D\]; got \[64, 8\]"):
        lighthouse.select(q[0, 0], q[0, 0])


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_scales(scale):
    q = make(n=300)
    for options in (dict(top_k=4), dict(num_levels=1), dict(top_k=4, inner=lambda q, k, v, **_: q)):
        with pytest.raises(ValueError, match="scale must be a finite number above 0; got"):
            lighthouse.attention(q, q, q, scale=scale, **options)


def test_an_inner_attention_of_another_dtype():
    q = make(n=300)
    with pytest.raises(TypeError, match="inner must return its query's dtype, torch.float32; got torch.float64"):
        lighthouse.attention(q, q, q, top_k=4, inner=lambda q, k, v, **_: q.double())


def test_an_inner_attention_of_another_shape():
    q = make(n=300)
    with pytest.raises(ValueError, match="inner must return its query's shape"):
        lighthouse.attention(q, q, q, top_k=4, inner=lambda q, k, v, **_: q[:, :, 1:])


def test_retained_length_is_checked():
    with pytest.raises(ValueError, match="top_k must be even"):
        lighthouse.retained_length(100, top_k=3)
    with pytest.raises(ValueError, match="at least 0; got -1"):
        lighthouse.retained_length(-1, top_k=4)
