"""A lower layer never includes a higher one: python check_layers.py [ROOT]. Prints each offence and exits 1 if there is one."""

import re
import sys
from pathlib import Path

# Lower first. The folders of src/ in this order; each may include itself and those before it.
LAYERS = ["text", "io", "pyramid", "kernels", "ops", "parallel", "model", "train", "huggingface", "inference", "analysis", "report", "cli"]
# The layer that each public header belongs to; a header that is missing here is an offence.
PUBLIC_HEADERS = {"geometry.h": "pyramid", "attention.h": "ops", "rotary.h": "ops"}
# Frameworks start here: what is below knows none.
FIRST_WITH_TORCH = "ops"
TORCH = re.compile(r"^(torch|ATen|c10)/")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# Includes that the pattern above cannot read are offences: what is not understood is not allowed.
ANY_INCLUDE = re.compile(r"^\s*(/\*.*?\*/\s*)*#\s*(include|import)\b")
SOURCES = {".h", ".cpp", ".cu", ".cuh"}


def layer_of_include(name: str) -> str | None:
    """The layer of an included file, None for what is not the project's."""
    parts = name.split("/")
    if parts[0] == "lighthouse":
        return PUBLIC_HEADERS.get(parts[-1], "?")
    return parts[0] if len(parts) > 1 and parts[0] in LAYERS else None


def offences_of(path: Path, layer: str) -> list[str]:
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            if ANY_INCLUDE.match(line):
                found.append(f'{path}:{number}: {line.strip()}: write it as #include "folder/file.h"')
            continue
        name = match.group(2)
        # From the root of src/ or include/, so that the layer is in the name.
        if ".." in name.split("/") or (match.group(1) == '"' and "/" not in name):
            found.append(f"{path}:{number}: {name}: includes name the file from src/ or include/")
            continue
        if TORCH.match(name) and LAYERS.index(layer) < LAYERS.index(FIRST_WITH_TORCH):
            found.append(f"{path}:{number}: {name}: {layer}/ is below {FIRST_WITH_TORCH}/ and knows no framework")
        included = layer_of_include(name)
        if included == "?":
            found.append(f"{path}:{number}: {name}: no layer is known for this header; add it to PUBLIC_HEADERS")
        elif included is not None and LAYERS.index(included) > LAYERS.index(layer):
            found.append(f"{path}:{number}: {name}: {layer}/ is below {included}/ and may not include it")
    return found


def check(root: Path) -> list[str]:
    found = []
    for folder in sorted((root / "src").iterdir()):
        if folder.is_dir() and folder.name not in LAYERS:
            found.append(f"{folder}: no such layer; expected one of {', '.join(LAYERS)}")
        elif folder.is_file() and folder.name != "CMakeLists.txt":
            found.append(f"{folder}: a file of no layer; expected it in one of {', '.join(LAYERS)}")
    for layer in LAYERS:
        for path in sorted((root / "src" / layer).rglob("*")):
            if path.suffix in SOURCES:
                found += offences_of(path, layer)
            elif path.is_file() and path.name != "CMakeLists.txt":
                found.append(f"{path}: expected a suffix of {', '.join(sorted(SOURCES))}")
    for path in sorted((root / "include").rglob("*")):
        if path.is_file():
            # A file deeper than include/lighthouse/ or of another suffix is in no table either.
            layer = PUBLIC_HEADERS.get(path.name) if path.parent == root / "include" / "lighthouse" else None
            found += [f"{path}: no layer is known for this header"] if layer is None else offences_of(path, layer)
    return found


if __name__ == "__main__":
    offences = check(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2])
    print("\n".join(offences) if offences else "every include points down or sideways")
    sys.exit(1 if offences else 0)
