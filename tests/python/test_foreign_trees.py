"""Nodes that are no tree of the sizes asked for: every one of them is an error, since ranks lead to memory."""

import pytest
import torch

import lighthouse_attention as lighthouse

OPS = torch.ops.lighthouse


def calls(q, tree):
    rows = torch.zeros(q.size(0), q.size(1), tree.retained_length, q.size(3))
    return (
        lambda: lighthouse.gather(q, q, q, tree),
        lambda: lighthouse.scatter(rows, tree),
        lambda: OPS.scatter_backward(q, tree.nodes, *tree[2:]),
        lambda: OPS.gather_backward(rows, rows, rows, tree.nodes, tree.num_tokens, *tree[2:]),
        tree.entries,
        tree.writes,
    )


@pytest.mark.parametrize("options", [dict(num_levels=3, pooling_factor=4, top_k=8), dict(num_levels=2, pooling_factor=2, top_k=4),
                                     dict(num_levels=4, pooling_factor=3, top_k=8, num_tiles=2)])  # fmt: skip
def test_garbage_is_refused(options):
    torch.manual_seed(1)
    q = torch.randn(2, 2, 300, 4)
    tree = lighthouse.select(q, q, **options)
    for call in calls(q, tree):
        call()
    for low, high in ((-(2**31), 2**31), (0, 2**31), (0, 8 * tree.retained_length), (-8, 8)):
        words = torch.randint(low, high, tree.nodes.shape).int()
        for keep in (False, True):
            # With the words that give the tiles' ends right, too.
            nodes = words.clone()
            if keep:
                coarsest = tree.num_tokens // tree.pooling_factor ** (tree.num_levels - 1)
                nodes[..., -coarsest:] = tree.nodes[..., -coarsest:]
            for call in calls(q, tree._replace(nodes=nodes)) if not torch.equal(nodes, tree.nodes) else ():
                with pytest.raises(ValueError, match="got nodes of another selection"):
                    call()


def test_one_wrong_word_is_refused():
    """Each word in turn: another rank, not retained, expanded where it was not and the other way."""
    torch.manual_seed(2)
    q = torch.randn(1, 1, 70, 2)
    tree = lighthouse.select(q, q, num_levels=3, pooling_factor=2, top_k=4, num_tiles=1)
    for index in range(tree.nodes.size(-1)):
        word = tree.nodes[0, 0, index].item()
        for wrong in {word + 8, word - 8, word ^ 1, -1 if word != -1 else 8 * 5 + 2} - {word}:
            nodes = tree.nodes.clone()
            nodes[0, 0, index] = wrong
            for call in calls(q, tree._replace(nodes=nodes)):
                with pytest.raises(ValueError, match="got nodes of another selection"):
                    call()
