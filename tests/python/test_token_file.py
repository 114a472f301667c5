"""Token files at the border of their widths."""

import numpy as np
import pytest

from lighthouse_attention._token_file import TokenFile


@pytest.mark.parametrize("format", ["auto", "llm.c"])
def test_16_bits_hold_65536_tokens_and_no_more(tmp_path, format):
    for vocab_size, width in ((65536, 2), (65537, 4)):
        path = tmp_path / f"{vocab_size}.bin"
        with TokenFile(path, format, vocab_size) as file:
            file.append([vocab_size - 1, 0])
            file.append([7])
            file.finish()
        header = 1024 if format == "llm.c" else 0
        data = path.read_bytes()
        assert np.frombuffer(data, f"<u{width}", offset=header).tolist() == [vocab_size - 1, 0, 7]
        if header:
            assert np.frombuffer(data, "<i4", 3)[2] == 3
    with pytest.raises(ValueError, match="65536"):
        TokenFile(tmp_path / "x.bin", "uint16", 65537)
