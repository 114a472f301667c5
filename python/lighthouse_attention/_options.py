"""Arguments of the wrong type, refused by name before an operator sees them."""

import difflib
import numbers
import operator
from typing import Any, Iterable

import torch

_WHOLE_NUMBERS = ("N", "num_levels", "pooling_factor")
_WHOLE_NUMBERS_OR_NONE = ("top_k", "num_tiles")
_SWITCHES = ("cover_prefix", "causal_selection")


def is_whole_number(x: Any) -> bool:
    """An int, or what stands for one, as of numpy; True and False are none."""
    if isinstance(x, (int, torch.SymInt)):
        return not isinstance(x, bool)
    if str(getattr(x, "dtype", "")) in ("bool", "torch.bool"):
        return False
    try:
        operator.index(x)
        return True
    except TypeError:
        return False


def check_options(op: str, **options: Any) -> None:
    """Raises TypeError where an option of ``attention`` is not of its type. Values are the operators' to check."""
    for name, x in options.items():
        if name in _WHOLE_NUMBERS and not is_whole_number(x):
            _refuse(op, name, "a whole number", x)
        elif name in _WHOLE_NUMBERS_OR_NONE and x is not None and not is_whole_number(x):
            _refuse(op, name, "a whole number or None", x)
        elif name in _SWITCHES and not isinstance(x, bool):
            _refuse(op, name, "True or False", x)
        elif name == "scale" and x is not None and not _is_number(x):
            _refuse(op, name, "a number or None", x)
        elif name == "inner" and x is not None and not isinstance(x, str) and not callable(x):
            _refuse(op, name, "a kernel's name, a function like scaled_dot_product_attention, or None", x)


def _is_number(x: Any) -> bool:
    # float first: torch.compile knows that one of a float that is symbolic.
    return not isinstance(x, bool) and (isinstance(x, (float, int)) or isinstance(x, numbers.Real))


def _refuse(op: str, name: str, expected: str, x: Any) -> None:
    raise TypeError(f"{op}: {name} must be {expected}; got {x!r}")


def nearest(name: str, known: Iterable[str]) -> str:
    """For an error about a name that is not known: the one that was probably meant."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f"{name} (did you mean {found[0]}?)" if found else name
