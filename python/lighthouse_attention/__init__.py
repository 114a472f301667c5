"""Lighthouse attention for PyTorch: long-context training on a short, selected, causal sub-sequence.

    >>> from lighthouse_attention import attention
    >>> out = attention(q, k, v)   # [B, H, N, D]; num_levels=3, pooling_factor=4, top_k=N/64

``attention`` is the layer. ``select``, ``gather`` and ``scatter`` are its stages, ``retained_length`` says how long the
gathered sequence will be, ``rotary_score`` rotates queries and keys and scores them in one pass. The operators behind them are ``torch.ops.lighthouse.*``.
"""

import sys as _sys

try:
    from ._library import load_library as _load_library

    _load_library()
except ImportError as _error:
    if _sys.argv[:1] != ["-m"]:
        raise
    _sys.exit(str(_error))  # of python -m lighthouse_attention: words, no traceback

from ._attention import attention, gather, retained_length, scatter  # noqa: E402
from ._rotary import rotary, rotary_score  # noqa: E402
from ._tree import Tree, select  # noqa: E402
from ._version import __version__  # noqa: E402

__all__ = ["__version__", "Tree", "attention", "gather", "retained_length", "rotary", "rotary_score", "scatter", "select"]
