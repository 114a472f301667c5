"""Whether an example does what it is there to show: it attends over a gathered sequence, and over a shorter one."""

import contextlib
import re
import tomllib
import warnings
from typing import Iterator

from torch.utils._python_dispatch import TorchDispatchMode

import lighthouse_attention as lighthouse


class _Gathers(TorchDispatchMode):
    """Of each gather, N and S."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: list[tuple[int, int]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func._schema.name == "lighthouse::gather":
            self.lengths.append((args[0].size(2), out[0].size(2)))
        return out


@contextlib.contextmanager
def expect_lighthouse() -> Iterator[None]:
    """Fails where the code inside gathers nothing, or falls back to dense attention anywhere."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="lighthouse::attention: .* would be retained")
        with _Gathers() as gathers:
            yield
    assert gathers.lengths and all(retained < tokens for tokens, retained in gathers.lengths), gathers.lengths


def blocks(text: str, language: str) -> list[str]:
    """The code of a Markdown text in one language."""
    return re.findall(rf"^```{re.escape(language)}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def expect_lighthouse_in_configuration(text: str) -> None:
    """Fails where a Lighthouse stage of the TOML text retains as many tokens as there are, or has no layer to itself."""
    config = tomllib.loads(text)
    options = {key: x for key, x in config.get("attention", {}).items() if key not in ("causal_selection", "cover_prefix")}
    tokens = config.get("data", {}).get("context_length", 4096)
    stages = [stage for stage in config["stages"] if stage.get("attention", "lighthouse") == "lighthouse"]
    assert stages, "no Lighthouse stage"
    for stage in stages:
        own = {"top_k": stage["top_k"]} if "top_k" in stage else {}
        assert lighthouse.retained_length(tokens, **{**options, **own}) < tokens
    model = config.get("model", {})
    assert len(model.get("full_attention_layers", [])) < model.get("num_hidden_layers", 16)
