"""What must be an error, and what must not do harm: trees of other sizes, garbage for a tree, errors that others left."""

import subprocess
import sys

import torch
from support import OPS, PARTS, expect_error, pyramid

import lighthouse_attention as lighthouse


OTHER_TREE = """
import torch, lighthouse_attention as lighthouse
q = torch.randn(1, 2, 4096, 64, dtype=torch.bfloat16, device="cuda")
tree = lighthouse.select(q, q, top_k={of}, num_tiles=4)
rows = lighthouse.gather(q, q, q, lighthouse.select(q, q, top_k={into}, num_tiles=4))
other = tree._replace(top_k={into})
{call}
torch.cuda.synchronize()
"""


def test_another_trees_nodes():
    """Nodes of another k end in an error, on the device as torch's own indices out of range do."""
    calls = ("lighthouse.gather(q, q, q, other)", "lighthouse.scatter(rows[0], other)", "other.entries()")
    for of, into, call in ((256, 64, calls[0]), (64, 256, calls[0]), (64, 256, calls[1]), (64, 256, calls[2])):
        code = OTHER_TREE.format(of=of, into=into, call=call)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode != 0 and "the tree's nodes must be of the same num_levels" in done.stdout + done.stderr, (call, done)
    code = OTHER_TREE.format(of=64, into=64, call=";".join(calls))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done


def test_errors():
    q = torch.randn(1, 2, 4096, 32, dtype=torch.float64, device="cuda")
    try:
        lighthouse.attention(q, q, q, top_k=16)
    except TypeError as error:
        assert "float64" in str(error)
    else:
        raise AssertionError("expected a TypeError")




def garbage(tree, seed: int):
    """Random words for nodes. The last, of which the kernels know what it must be, is right; and level 1 names no row so early that
    its tokens would be before the first, which the kernels know too."""
    generator = torch.Generator("cuda").manual_seed(seed)
    words = torch.randint(-(2**31), 2**31, tree.nodes.shape, dtype=torch.int64, device="cuda", generator=generator)
    level_one = tree.num_tokens // tree.pooling_factor ** (tree.num_levels - 1) * tree.pooling_factor ** (tree.num_levels - 2)
    early = words[..., :level_one]
    early[(early >= 0) & (early < 8 * tree.pooling_factor)] += 8 * tree.pooling_factor
    early[early < -1] -= early[early < -1] % 2  # not expanded
    words[..., -1] = tree.nodes[..., -1]
    return tree._replace(nodes=words.int())


def test_garbage_for_a_tree():
    """Whatever the nodes hold, nothing is read or written outside of the tensors: guards around them keep their values."""
    for num_levels, pooling_factor, dim, dtype in ((2, 4, 64, torch.bfloat16), (3, 4, 64, torch.bfloat16), (4, 4, 8, torch.float32),
                                                  (3, 2, 17, torch.float16), (5, 3, 64, torch.float32)):  # fmt: skip
        n = 4099
        q = torch.randn(2, 4, n, dim, dtype=dtype, device="cuda")
        k = q[:, :2]
        options = dict(num_levels=num_levels, pooling_factor=pooling_factor, top_k=16, num_tiles=1)
        tree = lighthouse.select(q, k, **options)
        rows = lighthouse.gather(q, k, k, tree)
        guards = [torch.full((1 << 20,), 7, dtype=torch.int32, device="cuda") for _ in range(8)]
        for seed in range(3):
            other = garbage(tree, seed)
            args = pyramid(other)
            lighthouse.gather(q, k, k, other)
            lighthouse.scatter(rows[0], other)
            OPS.scatter_backward(q, other.nodes, *args)
            OPS.gather_backward(*rows, other.nodes, n, *args)
            other.entries()
            other.writes()
            torch.cuda.synchronize()
        assert all((guard == 7).all() for guard in guards)


def test_errors_of_others():
    """An error that an earlier call of somebody's left in the thread is not taken for a launch's; a launch's own is reported once."""
    assert PARTS.check_launches() == ""
    assert PARTS.compute_capability(0) >= 70 and PARTS.compute_capability(63) == 0
    q = torch.randn(1, 2, 4096, 64, device="cuda")
    tree = lighthouse.select(q, q, top_k=64)
    torch.cuda.synchronize()
    assert tree.nodes.numel() and torch.equal(lighthouse.select(q, q, top_k=64).nodes, tree.nodes)
