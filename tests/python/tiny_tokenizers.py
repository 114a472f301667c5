"""Tokenizers that are trained here: nothing is fetched."""

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END = "<|endoftext|>"


def byte_level(path: Path) -> Path:
    """A byte-level BPE of 280 tokens, saved with a truncation and a padding that must not be applied."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        ["the quick brown fox jumps over the lazy dog " * 20],
        trainers.BpeTrainer(vocab_size=280, special_tokens=[END, "<pad>"], initial_alphabet=alphabet, show_progress=False),
    )
    bpe.enable_truncation(4)
    bpe.enable_padding(length=64, pad_token="<pad>", pad_id=1)
    bpe.save(str(path))
    return path


def words(path: Path, vocabulary: dict[str, int], unknown: str) -> Path:
    """Words as tokens; what is no word of the vocabulary is unknown to it."""
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(path))
    return path


def documents_of(tokens: np.ndarray, tokenizer: Path) -> list[str]:
    bpe, end = Tokenizer.from_file(str(tokenizer)), 0
    assert tokens[-1] == end
    pieces = np.split(tokens, np.flatnonzero(tokens == end) + 1)[:-1]
    return [bpe.decode(piece[:-1].tolist(), skip_special_tokens=False) for piece in pieces]
