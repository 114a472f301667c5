"""python -m lighthouse_attention: the versions that a bug report needs. `lighthouse doctor` says more of the machine."""

import argparse
import importlib.metadata
import platform
from typing import Optional

import torch

from ._library import loaded_from
from ._version import __version__


def version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def main(arguments: Optional[list[str]] = None) -> None:
    argparse.ArgumentParser(
        prog="python -m lighthouse_attention", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Prints the versions that a bug report needs: of this package, its operator library, Python, torch and others.",
        epilog="Text to token files: python -m lighthouse_attention.tokenize --help\n"
        "The layer:           from lighthouse_attention import attention; help(attention)\n"
        "transformers:        from lighthouse_attention.integrations.transformers import register; help(register)",
    ).parse_args(arguments)  # fmt: skip
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
