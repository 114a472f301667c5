"""Finds and loads the operator library."""

import os
from pathlib import Path
from typing import Optional

TORCH_SERIES = "2.11"

try:
    import torch
except ImportError as error:
    raise ImportError(f'lighthouse_attention needs torch {TORCH_SERIES}: pip install "torch=={TORCH_SERIES}.*" ({error})') from error

_loaded_from: Optional[Path] = None


def loaded_from() -> Optional[Path]:
    """The library that is in use."""
    return _loaded_from


def load_library() -> None:
    """Registers ``torch.ops.lighthouse``, from $LIGHTHOUSE_LIBRARY, beside this package, or from the checkout's build.

    Raises ImportError that says what was looked for.
    """
    if not torch.__version__.startswith(TORCH_SERIES + "."):
        raise ImportError(
            f"lighthouse_attention is built for torch {TORCH_SERIES}.*; got torch {torch.__version__}. "
            "Install that release, or build Lighthouse for yours."
        )
    global _loaded_from
    candidates = _candidates()
    for path in candidates:
        if path.is_file():
            try:
                torch.ops.load_library(str(path))
            except OSError as error:
                raise ImportError(f"lighthouse_attention: cannot load {path}: {error}. Build it again, with this torch") from error
            _loaded_from = path
            return
    looked = "\n  ".join(str(path) for path in candidates)
    raise ImportError(
        f"lighthouse_attention: no liblighthouse.so; looked at\n  {looked}\n"
        "Install the package (pip install --no-build-isolation .) or build it with ./run setup."
    )


def _candidates() -> list[Path]:
    named = os.environ.get("LIGHTHOUSE_LIBRARY")
    if named:
        return [Path(named)]
    package = Path(__file__).resolve().parent
    checkout = package.parent.parent
    return [package / "liblighthouse.so", checkout / "build" / "release" / "lib" / "liblighthouse.so"]
