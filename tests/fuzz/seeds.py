"""Files to begin with for the fuzzers: seeds.py ROOT CORPUS. What a run has found before stays in the corpus."""

import json
import pathlib
import struct
import sys


def safetensors(tensors: dict, metadata: dict | None = None) -> bytes:
    """tensors: name to (dtype, shape, bytes)."""
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, values) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def seeds(root: pathlib.Path) -> dict[str, list[bytes]]:
    empty = safetensors({})
    small = safetensors({"a": ("F32", [2, 1], bytes(8)), "b": ("BF16", [], b"ab"), "c": ("I64", [0, 3], b"")}, {"format": "pt"})
    summed = safetensors({"a": ("U8", [3], b"abc")}, {"lighthouse.checksum": "0" * 16, "lighthouse.tensors": "0" * 16})
    all_types = [("F32", 4), ("F64", 8), ("BF16", 2), ("F16", 2), ("I64", 8), ("I32", 4), ("I8", 1), ("U8", 1), ("BOOL", 1),
                 ("I16", 2), ("U16", 2), ("U32", 4), ("U64", 8), ("F8_E4M3", 1), ("F8_E5M2", 1)]  # fmt: skip
    typed = safetensors({name: (name, [1], bytes(size)) for name, size in all_types})
    llm_c = struct.pack("<256i", 20240520, 1, 4, *[0] * 253) + struct.pack("<4H", 1, 2, 3, 4)
    llm_c_wide = struct.pack("<256i", 20240801, 7, 2, *[0] * 253) + struct.pack("<2I", 1, 70000)
    tokens = [b"\x00\xff\x00" + llm_c, b"\x04\xff\x00" + llm_c_wide, b"\x01\xff\x80text", b"\x02\xff\x00\x01\x00\x02\x00", b"\x03\xff\x00\x01\x00\x00\x00"]
    # Two sequences of three and one uint16 tokens, of one document each: 8 bytes.
    index = b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 8, 2, 3) + struct.pack("<2i2q3q", 3, 1, 0, 6, 0, 1, 2)
    tokens.append(b"\x06\x08\x00" + index)
    configs = [path.read_bytes() for path in sorted((root / "configs").glob("*.toml"))]
    return {"fuzz_safetensors": [empty, small, summed, typed], "fuzz_tokens": tokens, "fuzz_config": configs}


def main() -> None:
    root, corpus = map(pathlib.Path, sys.argv[1:])
    for name, files in seeds(root).items():
        folder = corpus / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(files):
            (folder / f"seed-{number}").write_bytes(data)


if __name__ == "__main__":
    main()
