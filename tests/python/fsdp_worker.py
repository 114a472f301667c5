"""One of the processes of test_fsdp.py: python fsdp_worker.py RANK WORLD_SIZE RENDEZVOUS_FILE OUTPUT

Trains a small decoder for a few steps on its share of each batch and saves losses, gathered gradients and weights. With a
world of one it is the run to compare with.
"""

import os
import sys

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard

import lighthouse_attention as lighthouse

STEPS, BATCH, N, VOCAB, WIDTH, HEADS, KV_HEADS = 3, 2, 300, 32, 32, 4, 2
OPTIONS = dict(num_levels=3, pooling_factor=2, top_k=16)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        head = WIDTH // HEADS
        self.norm = nn.RMSNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, (HEADS + 2 * KV_HEADS) * head, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.mlp = nn.Sequential(nn.RMSNorm(WIDTH), nn.Linear(WIDTH, 64), nn.SiLU(), nn.Linear(64, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        heads = self.qkv(self.norm(x)).unflatten(-1, (HEADS + 2 * KV_HEADS, -1)).transpose(1, 2)  # [B, H + 2K, N, D]
        q, k, v = heads.split([HEADS, KV_HEADS, KV_HEADS], 1)
        x = x + self.out(lighthouse.attention(q, k, v, **OPTIONS).transpose(1, 2).flatten(2))
        return x + self.mlp(x)


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCAB, WIDTH)
        self.blocks = nn.Sequential(Block(), Block())
        self.head = nn.Linear(WIDTH, VOCAB, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.blocks(self.embed(tokens)))


def whole(tensor: Tensor) -> Tensor:
    return (tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor).detach().clone()


def main(rank: int, world: int, rendezvous: str, output: str) -> None:
    assert lighthouse.retained_length(N, **OPTIONS) < N
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=world)
    torch.manual_seed(5)
    model = Decoder().double()
    if world > 1:
        for block in model.blocks:
            fully_shard(block)
        fully_shard(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    batches = torch.randint(0, VOCAB, (STEPS, BATCH, N + 1), generator=torch.Generator().manual_seed(6))
    losses, gradients = [], {}
    for step in range(STEPS):
        rows = batches[step].chunk(world)[rank]
        loss = nn.functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            gradients = {name: whole(p.grad) for name, p in model.named_parameters()}
        optimizer.step()
        mean = loss.detach().clone()
        dist.all_reduce(mean)
        losses.append(mean / world)
    weights = {name: whole(p) for name, p in model.named_parameters()}
    if rank == 0:
        torch.save({"losses": torch.stack(losses), "gradients": gradients, "weights": weights}, output)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
    # Without the interpreter's own end: the sharded model keeps Gloo's group alive beyond its destruction above, and threads
    # of it that are still running then abort the process, now and then.
    os._exit(0)
