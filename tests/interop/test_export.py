"""lighthouse export: what transformers makes of a run."""

import json
import shutil
import random
from pathlib import Path

import pytest
import torch
import transformers
from conftest import SEED, difference, lighthouse, logits_of, random_tokens, train
from safetensors import safe_open
from safetensors.torch import load_file


def load(folder: Path) -> transformers.PreTrainedModel:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def test_the_folder(exported, run):
    config = json.loads((exported / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"] and config["model_type"] == "llama"
    assert (config["num_key_value_heads"], config["head_dim"], config["max_position_embeddings"]) == (2, 16, 256)
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 10000
    assert config["dtype"] == config["torch_dtype"] == "float32"
    assert config["bos_token_id"] is None and config["eos_token_id"] is None and config["pad_token_id"] is None
    with safe_open(exported / "model.safetensors", "pt") as file:
        assert file.metadata()["format"] == "pt"
        assert "lm_head.weight" in file.keys()
    assert sorted(p.name for p in exported.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert not list(exported.parent.glob("*.tmp"))


@pytest.mark.parametrize("length", [64, 8192])
def test_logits_agree(exported, run, tmp_path, length):
    tokens = random_tokens(length)
    with torch.no_grad():
        theirs = load(exported)(torch.tensor([tokens])).logits[0]
    found = difference(logits_of(run, tokens, tmp_path), theirs)
    print(f"{length} tokens: largest difference / largest logit = {found:.2e}")
    assert found < 1e-5


def test_greedy_continuations_agree(exported, run):
    prompt = "line 16 of"
    tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
    theirs = load(exported).generate(**tokenizer(prompt, return_tensors="pt"), max_new_tokens=64, do_sample=False)
    ours = lighthouse("generate", run, "--prompt", prompt, "--max-new-tokens", "64", "--temperature", "0", text=False)
    assert ours.stdout == bytes(theirs[0].tolist()) + b"\n"
    print(f"64 tokens: {bytes(theirs[0].tolist())!r}")


def test_a_tied_run_from_a_checkpoint(tmp_path, text):
    run = train(tmp_path, "tied", text, tied=True)
    checkpoint = sorted((run / "checkpoints").iterdir())[0]
    lighthouse("export", checkpoint, tmp_path / "model")
    with safe_open(tmp_path / "model" / "model.safetensors", "pt") as file:
        assert "lm_head.weight" not in file.keys()
    tokens = random_tokens(300)
    with torch.no_grad():
        theirs = load(tmp_path / "model")(torch.tensor([tokens])).logits[0]
    assert difference(logits_of(checkpoint, tokens, tmp_path), theirs) < 1e-5


def test_the_tokenizer_is_bytes(exported):
    source = random.Random(SEED)
    for kind in (transformers.AutoTokenizer, transformers.PreTrainedTokenizerFast):
        tokenizer = kind.from_pretrained(exported)
        assert len(tokenizer) == 256 and tokenizer.all_special_tokens == []
        for _ in range(300):
            points = [source.choice([source.randrange(128), source.randrange(0xD800), source.randrange(0xE000, 0x110000)])
                      for _ in range(source.randrange(40))]  # fmt: skip
            sample = "".join(map(chr, points))
            ids = tokenizer(sample)["input_ids"]
            assert ids == list(sample.encode()) and tokenizer.decode(ids) == sample
            raw = bytes(source.randrange(256) for _ in range(20))
            assert tokenizer.decode(list(raw)) == raw.decode(errors="replace")
        for byte in range(256):
            assert tokenizer.convert_tokens_to_ids(tokenizer.convert_ids_to_tokens(byte)) == byte


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_types(run, exported, tmp_path, dtype):
    name = str(dtype).removeprefix("torch.")
    lighthouse("export", run, tmp_path / "model", "--dtype", name)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["dtype"] == config["torch_dtype"] == name
    whole = load_file(exported / "model.safetensors")
    narrow = load_file(tmp_path / "model" / "model.safetensors")
    for key, value in whole.items():
        assert torch.equal(narrow[key], value.to(dtype)), key
    assert transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model").dtype == dtype


def test_shards(run, exported, tmp_path):
    lighthouse("export", run, tmp_path / "model", "--max-shard-size", "100KB")
    files = sorted(p.name for p in (tmp_path / "model").glob("*.safetensors"))
    assert len(files) > 2 and files[0] == f"model-00001-of-{len(files):05}.safetensors"
    assert all((tmp_path / "model" / name).stat().st_size < 110e3 for name in files)
    index = json.loads((tmp_path / "model" / "model.safetensors.index.json").read_text())
    whole = load_file(exported / "model.safetensors")
    assert index["metadata"]["total_size"] == sum(4 * value.numel() for value in whole.values())
    assert index["weight_map"].keys() == whole.keys() and set(index["weight_map"].values()) == set(files)
    state = load(tmp_path / "model").state_dict()
    assert all(torch.equal(state[key], value) for key, value in whole.items())


def test_whole_or_not_at_all(run, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    lighthouse("export", run, f"{folder}/")  # an empty folder, and a slash at the end
    before = (folder / "model.safetensors").read_bytes()
    refused = lighthouse("export", run, folder, fails=True)
    assert "is not empty; choose another folder, or pass --overwrite" in refused.stderr
    (folder / "old").touch()
    lighthouse("export", run, folder, "--overwrite")
    assert not (folder / "old").exists() and (folder / "model.safetensors").read_bytes() == before
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis").touch()
    refused = lighthouse("export", run, precious, "--overwrite", fails=True)
    assert "no exported model" in refused.stderr and (precious / "thesis").exists()
    (precious / "config.json").write_text('{"name": "an application"}')
    refused = lighthouse("export", run, precious, "--overwrite", fails=True)
    assert "no exported model" in refused.stderr and (precious / "thesis").exists()
    mine = tmp_path / "mine.tmp"  # no name of ours
    mine.mkdir()
    (mine / "thesis").touch()
    lighthouse("export", run, tmp_path / "mine")
    assert (tmp_path / "mine" / "model.safetensors").read_bytes() == before and (mine / "thesis").exists()
    shutil.rmtree(mine)
    shutil.rmtree(tmp_path / "mine")
    # Left by a process that was killed while it filled the folder, or after it had exchanged it with the one that was there.
    for name in ("half", "model.safetensors"):
        (tmp_path / "model.abc123.tmp").mkdir()
        (tmp_path / "model.abc123.tmp" / name).touch()
        (tmp_path / ".model.lighthouse-lock").write_text("model.abc123.tmp")
        lighthouse("export", run, folder, "--overwrite")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "precious"] and not (folder / "half").exists()
        assert (folder / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--dtype", "int8"], "--dtype must be stored, float32, bfloat16 or float16; got int8"),
        (["--max-shard-size", "5XB"], "--max-shard-size must be a size such as 5GB, 500MB or 20KB; got 5XB"),
        (["--max-shard-size", "0"], "got 0"),
        (["--to", "gguf"], "--to must be hf; got gguf"),
    ],
)
def test_wrong_arguments(run, tmp_path, arguments, words):
    refused = lighthouse("export", run, tmp_path / "model", *arguments, fails=True)
    assert words in refused.stderr and not list(tmp_path.iterdir())
