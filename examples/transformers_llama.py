"""A transformers Llama, trained with Lighthouse attention, recovered dense, saved as what it always was: an ordinary Llama.

    ./run python examples/transformers_llama.py --out runs/llama      train, recover, save: about a minute on 2 cores
    python examples/transformers_llama.py --out runs/llama --check    load it without Lighthouse: the same logits
"""

import argparse
import pathlib
import sysconfig

import torch
import transformers


def train(out: pathlib.Path, steps: int, recovery: int, context: int) -> None:
    from lighthouse_attention import retained_length
    from lighthouse_attention.integrations.transformers import register

    options = dict(num_levels=3, pooling_factor=4)  # and the default top_k, about N / 64
    print(f"Lighthouse layers attend over {retained_length(context, **options)} of {context} rows")
    text = b"".join(path.read_bytes() for path in sorted(pathlib.Path(sysconfig.get_paths()["stdlib"]).glob("*.py")))
    data = torch.frombuffer(bytearray(text), dtype=torch.uint8).long()  # tokens are bytes
    config = transformers.LlamaConfig(
        vocab_size=256, hidden_size=128, intermediate_size=384, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=context, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []

    register(causal_selection=True, full_attention_layers=[0], **options)
    model.set_attn_implementation("lighthouse")
    for step in range(steps + recovery):
        if step == steps:
            model.set_attn_implementation("sdpa")  # recovery: the same weights, dense
        starts = torch.randint(len(data) - context, (2,)).tolist()
        batch = torch.stack([data[start : start + context] for start in starts])
        loss = model(batch, labels=batch, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if (step + 1) % 10 == 0:
            mean = sum(losses[-10:]) / 10
            print(f"step {step + 1:3d}  {model.config._attn_implementation:10}  loss {mean:.3f}, mean of 10 steps", flush=True)

    model.eval().save_pretrained(out)
    sample = data[None, :context]
    with torch.no_grad():
        torch.save({"tokens": sample, "logits": model(sample).logits}, out / "sample.pt")
    print(f"saved {out}")


def check(out: pathlib.Path) -> None:
    import sys

    model = transformers.AutoModelForCausalLM.from_pretrained(out, attn_implementation="sdpa")
    sample = torch.load(out / "sample.pt")
    with torch.no_grad():
        logits = model(sample["tokens"]).logits
    assert not any(name.startswith("lighthouse") for name in sys.modules)
    assert torch.equal(logits, sample["logits"]), (logits - sample["logits"]).abs().max()
    print(f"{type(model).__name__} loaded without Lighthouse: {logits.numel():,} logits, equal bit for bit")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the model's folder")
    parser.add_argument("--check", action="store_true", help="load the model and compare, nothing else")
    parser.add_argument("--steps", type=int, default=60, help="with Lighthouse attention")
    parser.add_argument("--recovery", type=int, default=20, help="dense steps after that")
    parser.add_argument("--context", type=int, default=2048, help="tokens of a sequence")
    arguments = parser.parse_args()
    if arguments.check:
        check(arguments.out)
    else:
        train(arguments.out, arguments.steps, arguments.recovery, arguments.context)
