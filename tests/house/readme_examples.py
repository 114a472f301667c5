"""The code of README.md: python readme_examples.py README.md LANGUAGE prints its blocks of one language."""

import re
import sys
from pathlib import Path


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{re.escape(language)}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


if __name__ == "__main__":
    found = blocks(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2])
    if not found:
        sys.exit(f"{sys.argv[1]} has no {sys.argv[2]} block")
    print("\n".join(found))
