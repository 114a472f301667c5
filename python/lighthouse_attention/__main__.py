"""python -m lighthouse_attention: the versions that a bug report needs. `lighthouse doctor` says more of the machine."""

import importlib.metadata
import platform

import torch

from ._library import loaded_from
from ._version import __version__


def version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def main() -> None:
    rows = {
        "lighthouse_attention": f"{__version__}, {loaded_from()}",
        "python": f"{platform.python_version()}, {platform.platform()}",
        "torch": f"{torch.__version__}, CUDA {torch.version.cuda or 'none'}",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none that torch sees",
        "transformers": version_of("transformers"),
        "tokenizers": version_of("tokenizers"),
    }
    for name, found in rows.items():
        print(f"{name:<22}{found}")


if __name__ == "__main__":
    main()
