"""lighthouse import: models that transformers made, and what comes back out of them."""

import json
import shutil
from pathlib import Path

import pytest
import tokenizers
import torch
import transformers
from conftest import LLAMA3, difference, lighthouse, llama, logits_of, random_tokens
from safetensors import safe_open
from safetensors.torch import load_file, save_file


def tensor_bytes(folder: Path) -> dict[str, tuple]:
    """Of every tensor: its type, its shape and its bytes."""
    found = {}
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            for name in file.keys():
                tensor = file.get_tensor(name)
                found[name] = (tensor.dtype, tuple(tensor.shape), tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return found


def test_back_and_forth_is_byte_identical(exported, tmp_path):
    lighthouse("import", exported, "--out", tmp_path / "model")
    lighthouse("export", tmp_path / "model", tmp_path / "again")
    assert tensor_bytes(tmp_path / "again") == tensor_bytes(exported)
    names = sorted(p.name for p in exported.iterdir())
    assert sorted(p.name for p in (tmp_path / "again").iterdir()) == names
    for name in names:
        if name.endswith(".json"):
            assert (tmp_path / "again" / name).read_bytes() == (exported / name).read_bytes(), name
    print(f"import, export: {len(tensor_bytes(exported))} tensors, byte-identical")


VARIANTS = {
    "grouped heads, tied, llama3": {},
    "multi-query, untied, other base": dict(num_key_value_heads=1, tie_word_embeddings=False,
                                            rope_parameters={"rope_type": "default", "rope_theta": 1234.5}),
    "as many key heads, odd sizes": dict(num_attention_heads=3, num_key_value_heads=3, head_dim=10, hidden_size=39,
                                         intermediate_size=51, rms_norm_eps=1e-3, vocab_size=257),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", VARIANTS)
def test_transformers_models_agree(tmp_path, name, dtype):
    model = llama(dtype, **VARIANTS[name])
    model.save_pretrained(tmp_path / "theirs", max_shard_size="20KB" if dtype == torch.bfloat16 else "5GB")
    lighthouse("import", tmp_path / "theirs", "--out", tmp_path / "model")
    tokens = random_tokens(500, below=257)
    # Loaded, not converted: .to() would round the rotary frequencies too.
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "theirs", dtype=torch.float32).eval()
    with torch.no_grad():
        theirs = loaded(torch.tensor([tokens])).logits[0]
    found = difference(logits_of(tmp_path / "model", tokens, tmp_path), theirs)
    print(f"{name}, {dtype}: largest difference / largest logit = {found:.2e}")
    assert found < 1e-5
    lighthouse("export", tmp_path / "model", tmp_path / "again", "--max-shard-size", "30KB")
    assert tensor_bytes(tmp_path / "again") == tensor_bytes(tmp_path / "theirs")
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "again")
    assert again.dtype == dtype and again.config.rope_parameters == model.config.rope_parameters


def test_greedy_continuations_of_an_imported_model_agree(tmp_path):
    model = llama()
    model.save_pretrained(tmp_path / "theirs")
    lighthouse("import", tmp_path / "theirs", "--out", tmp_path / "model")
    prompt = random_tokens(9)
    theirs = model.generate(torch.tensor([prompt]), max_new_tokens=64, do_sample=False, eos_token_id=None)
    ours = lighthouse("generate", tmp_path / "model", "--tokens", ",".join(map(str, prompt)), "--temperature", "0",
                      "--max-new-tokens", "64", "--no-stop")  # fmt: skip
    assert [int(token) for token in ours.stdout.split()] == theirs[0, len(prompt):].tolist()


def test_end_tokens(tmp_path):
    model = llama()
    prompt = random_tokens(9)
    plain = model.generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False, eos_token_id=None)[0, 9:].tolist()
    end = plain[5]
    model.config.eos_token_id = [end, 3]
    model.generation_config.eos_token_id = [end, 3]
    model.save_pretrained(tmp_path / "theirs")
    lighthouse("import", tmp_path / "theirs", "--out", tmp_path / "model")
    given = ["generate", tmp_path / "model", "--tokens", " ".join(map(str, prompt)), "--temperature", "0", "--max-new-tokens", "20"]
    until = plain[: plain.index(end)]
    done = lighthouse(*given, "--json", tmp_path / "figures.json")
    assert [int(token) for token in done.stdout.split()] == until and "ended by the model" in done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["tokens"] == until and figures["ended"] and figures["prompt_tokens"] == 9
    assert [int(token) for token in lighthouse(*given, "--no-stop").stdout.split()] == plain
    assert [int(token) for token in lighthouse(*given, "--stop", plain[0]).stdout.split()] == []


def test_the_form_of_transformers_4(tmp_path):
    """rope_theta and rope_scaling at the top, torch_dtype, nothing of version 5."""
    model = llama()
    model.save_pretrained(tmp_path / "theirs")
    path = tmp_path / "theirs" / "config.json"
    config = json.loads(path.read_text())
    del config["rope_parameters"], config["head_dim"]
    config["torch_dtype"] = config.pop("dtype")
    config |= {"rope_theta": 500000.0, "rope_scaling": LLAMA3, "head_dim": 16}
    path.write_text(json.dumps(config))
    lighthouse("import", tmp_path / "theirs", "--out", tmp_path / "model")
    tokens = random_tokens(200)
    with torch.no_grad():
        theirs = model(torch.tensor([tokens])).logits[0]
    assert difference(logits_of(tmp_path / "model", tokens, tmp_path), theirs) < 1e-5


def test_mistral(tmp_path):
    config = transformers.MistralConfig(vocab_size=300, hidden_size=48, intermediate_size=64, num_hidden_layers=2,
                                        num_attention_heads=4, num_key_value_heads=2, sliding_window=None)  # fmt: skip
    model = transformers.MistralForCausalLM(config).eval()
    model.save_pretrained(tmp_path / "theirs")
    lighthouse("import", tmp_path / "theirs", "--out", tmp_path / "model")
    tokens = random_tokens(200)
    with torch.no_grad():
        theirs = model(torch.tensor([tokens])).logits[0]
    assert difference(logits_of(tmp_path / "model", tokens, tmp_path), theirs) < 1e-5
    lighthouse("export", tmp_path / "model", tmp_path / "again")
    with torch.no_grad():
        again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "again", dtype=torch.float32)(torch.tensor([tokens]))
    assert difference(again.logits[0], theirs) < 1e-5


def test_tokenizers_are_carried_along(tmp_path, text):
    """Through an import, a run that starts from it, and an export of that run."""
    model = llama(vocab_size=300)
    model.save_pretrained(tmp_path / "theirs")
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    bpe.train([str(text)], tokenizers.trainers.BpeTrainer(vocab_size=300, special_tokens=["<s>", "</s>"],
                                                          initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()))  # fmt: skip
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>")
    fast.save_pretrained(tmp_path / "theirs")
    lighthouse("import", tmp_path / "theirs", "--out", tmp_path / "model")
    refused = lighthouse("generate", tmp_path / "model", "--prompt", "line", fails=True)
    assert "the model's 300 tokens are not bytes; pass their numbers by --tokens" in refused.stderr

    tokens = torch.tensor(fast(text.read_text(encoding="utf-8"))["input_ids"], dtype=torch.int32)
    (tmp_path / "tokens.bin").write_bytes(tokens.numpy().astype("uint16").tobytes())
    config = tmp_path / "longer.toml"
    config.write_text(f"""
output_dir = "{tmp_path / "longer"}"
[data]
paths = ["{tmp_path / "tokens.bin"}"]
context_length = 1024
[attention]
top_k = 16
causal_selection = true
[optimizer]
learning_rate = 1e-3
[[stages]]
steps = 3
[[stages]]
attention = "dense"
steps = 1
""")
    trained = lighthouse("train", config, "--init", tmp_path / "model")
    assert f"weights: from {tmp_path / 'model'}" in trained.stdout
    lighthouse("export", tmp_path / "longer", tmp_path / "again")
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes(), name
    written = json.loads((tmp_path / "again" / "config.json").read_text())
    assert written["max_position_embeddings"] == 1024 and written["eos_token_id"] == model.config.eos_token_id
    before, after = load_file(tmp_path / "theirs" / "model.safetensors"), load_file(tmp_path / "again" / "model.safetensors")
    change = (after["model.norm.weight"] - before["model.norm.weight"]).abs().max()
    assert 0 < change < 0.01, "training must start from the weights"
    sample = text.read_text(encoding="utf-8")[:100]
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "again")(sample).input_ids == fast(sample).input_ids


def test_extra_tensors(tmp_path):
    model = llama()
    model.save_pretrained(tmp_path / "theirs")
    path = tmp_path / "theirs" / "model.safetensors"
    tensors = load_file(path)
    extra = {"lm_head.weight": tensors["model.embed_tokens.weight"].clone(),
             "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)}  # fmt: skip
    save_file(tensors | extra, path, metadata={"format": "pt"})
    done = lighthouse("import", tmp_path / "theirs", "--out", tmp_path / "model")
    assert "Left out lm_head.weight: the same as" in done.stderr and "inv_freq" in done.stderr
    assert load_file(tmp_path / "model" / "model.safetensors").keys() == tensors.keys()
    extra["lm_head.weight"][0, 0] += 1
    save_file(tensors | extra, path, metadata={"format": "pt"})
    assert "lm_head.weight differs" in lighthouse("import", tmp_path / "theirs", "--out", tmp_path / "other", fails=True).stderr


@pytest.fixture(scope="module")
def theirs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("theirs") / "model"
    llama().save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    "change, words",
    [
        ({"architectures": ["GemmaForCausalLM"]}, 'architectures must be ["LlamaForCausalLM"] or ["MistralForCausalLM"]'),
        ({"architectures": None, "model_type": "qwen3"}, 'model_type must be "llama" or "mistral"; got "qwen3"'),
        ({"model_type": "mistral"}, "model_type must be \"llama\", as architectures says"),
        ({"attention_bias": True}, "attention_bias must be false"),
        ({"mlp_bias": True}, "mlp_bias must be false"),
        ({"hidden_act": "gelu"}, 'hidden_act must be "silu"; got "gelu"'),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, 'rope_parameters.rope_type must be "default" or "llama3"; got "yarn"'),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2}}, 'rope_scaling.type must be "default" or "llama3"'),
        ({"rope_parameters": LLAMA3 | {"factor": "8"}}, "rope_parameters.factor must be a number"),
        ({"rope_scaling": {"rope_type": "default"}}, "rope_scaling must be the same as rope_parameters"),
        ({"rope_theta": 3.0}, "rope_theta must be what rope_parameters says, 500000.0"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor must be 1"),
        ({"quantization_config": {"bits": 4}}, "quantization_config must be absent"),
        ({"sliding_window": 128}, "sliding_window must be null"),
        ({"architectures": ["MistralForCausalLM"], "model_type": "mistral"}, "sliding_window must be null (where Mistral's"),
        ({"vocab_size": 100}, "vocab_size must be a whole number of at least 256; got 100"),
        ({"hidden_size": None}, "hidden_size must be a whole number of at least 1; got none"),
        ({"num_key_value_heads": 4}, "num_key_value_heads must be a divisor of num_attention_heads, 6; got 4"),
        ({"head_dim": 15}, "head_dim must be even; got 15"),
        ({"num_hidden_layers": 3}, "missing: model.layers.2.input_layernorm.weight [48]"),
        ({"num_hidden_layers": 1}, "unexpected: model.layers.1.input_layernorm.weight [48]"),
        ({"intermediate_size": 81}, "model.layers.0.mlp.gate_proj.weight: expected [81, 48], got [80, 48]"),
        ({"tie_word_embeddings": False}, "missing: lm_head.weight [320, 48]"),
        ({"num_hidden_layers": 10**12}, "num_hidden_layers is 1000000000000; there are tensors of 2 layers, 20 in all"),
        ({"num_hidden_layers": 2**63}, "num_hidden_layers must be a whole number of at least 1"),
        ({"vocab_size": 10**15}, "model.embed_tokens.weight: expected [1000000000000000, 48], got [320, 48]"),
        ({"hidden_size": 10**18}, "vocab_size x hidden_size must be below 2^63"),
        ({"num_attention_heads": 10**10, "num_key_value_heads": 10**10, "head_dim": 10**10}, "must be below 2^63"),
        ({"rms_norm_eps": None}, "rms_norm_eps must be a number of at least 0.0; got none (null)"),
        ({"hidden_act": None}, "hidden_act must be text; got none (null)"),
        ({"tie_word_embeddings": None}, "tie_word_embeddings must be true or false; got none (null)"),
        ({"max_position_embeddings": None}, "max_position_embeddings must be a whole number of at least 1; got none (null)"),
        ({"rope_parameters": None, "rope_theta": None}, "rope_theta must be a number of at least 1.0; got none (null)"),
        ({"rope_parameters": LLAMA3 | {"rope_theta": None}}, "rope_parameters.rope_theta must be a number"),
        ({"rope_parameters": LLAMA3 | {"factor": None}}, "rope_parameters.factor must be a number of at least 1.0; got none (null)"),
        ({"rope_parameters": {"rope_type": None}}, "rope_parameters.rope_type must be text; got none (null)"),
        ({"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 7.0}}}, "rope_parameters.full_attention must be"),
        ({"rope_scaling": LLAMA3}, "rope_scaling must be the same as rope_parameters where both are there, with the same rope_theta"),
        ({"rms_norm_eps": float("inf")}, "config.json:1: expected JSON; got"),
        ({"rope_theta": float("nan")}, "JSON has no NaN and no Infinity"),
    ],
)  # fmt: skip
def test_refusals(theirs, tmp_path, change, words):
    folder = tmp_path / "model"
    shutil.copytree(theirs, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    refused = lighthouse("import", folder, "--out", tmp_path / "out", fails=True)
    assert words in refused.stderr and sorted(p.name for p in tmp_path.iterdir()) == ["model"], refused.stderr


@pytest.mark.parametrize(
    "change",
    [{"num_key_value_heads": None, "num_attention_heads": 2}, {"head_dim": None, "num_attention_heads": 3}, {"rope_parameters": None},
     {"rope_scaling": None}, {"sliding_window": None}, {"layer_types": None}, {"quantization_config": None}, {"architectures": None},
     {"partial_rotary_factor": None}, {"rope_parameters": LLAMA3 | {"rope_theta": 777.0}, "original_max_position_embeddings": 32},
     {"rope_parameters": {}, "rope_theta": 777.0}, {"rope_parameters": None, "rope_scaling": {"rope_type": "default", "rope_theta": 777.0}},
     "rms_norm_eps", "rope_parameters", "head_dim", "tie_word_embeddings", "hidden_act", "attention_bias", "max_position_embeddings",
     "eos_token_id", "bos_token_id", "initializer_range"],
)  # fmt: skip
def test_nulls_and_absent_keys_are_what_transformers_takes(tmp_path, change):
    """A key that is null, or (a name alone) absent: the same logits, and the same configuration when it is exported."""
    folder = tmp_path / "theirs"
    heads = change.get("num_attention_heads", 6) if isinstance(change, dict) else 6
    shape = dict(num_attention_heads=heads, num_key_value_heads=heads if heads < 6 else 2, head_dim=48 // heads, tie_word_embeddings=False)
    llama(**shape).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config = {**config, **change} if isinstance(change, dict) else {key: value for key, value in config.items() if key != change}
    (folder / "config.json").write_text(json.dumps(config))
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    lighthouse("import", folder, "--out", tmp_path / "model")
    tokens = random_tokens(80)
    with torch.no_grad():
        theirs = loaded(torch.tensor([tokens])).logits[0]
    assert difference(logits_of(tmp_path / "model", tokens, tmp_path), theirs) < 1e-5
    lighthouse("export", tmp_path / "model", tmp_path / "again")
    again = transformers.AutoConfig.from_pretrained(tmp_path / "again")
    for key in ("num_key_value_heads", "head_dim", "rms_norm_eps", "max_position_embeddings", "bos_token_id", "eos_token_id", "pad_token_id"):
        assert getattr(again, key) == getattr(loaded.config, key), key


def test_a_mistral_with_null_heads_has_as_many_as_queries(tmp_path):
    """As its configuration says of itself; absent they are 8."""
    config = transformers.MistralConfig(vocab_size=300, hidden_size=48, intermediate_size=64, num_hidden_layers=1,
                                        num_attention_heads=4, num_key_value_heads=4, sliding_window=None)  # fmt: skip
    model = transformers.MistralForCausalLM(config).eval()
    model.save_pretrained(tmp_path / "theirs")
    path = tmp_path / "theirs" / "config.json"
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "num_key_value_heads": None}))
    lighthouse("import", tmp_path / "theirs", "--out", tmp_path / "model")
    tokens = random_tokens(80)
    with torch.no_grad():
        theirs = model(torch.tensor([tokens])).logits[0]
    assert difference(logits_of(tmp_path / "model", tokens, tmp_path), theirs) < 1e-5
    path.write_text(json.dumps({key: value for key, value in stored.items() if key != "num_key_value_heads"}))
    refused = lighthouse("import", tmp_path / "theirs", "--out", tmp_path / "other", fails=True)
    assert "num_key_value_heads must be a divisor of num_attention_heads, 4" in refused.stderr


@pytest.mark.parametrize("metadata", [{}, {"by": "another program"}])
def test_runs_and_models_that_the_library_wrote_again(run, tmp_path, metadata):
    """safetensors' own library sorts tensors and metadata anew, and keeps the checksums that were among these."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    files = [copy / "model.safetensors", *sorted((copy / "checkpoints").iterdir())]
    before = tensor_bytes(copy)
    for path in files:
        with safe_open(path, "pt") as file:
            kept = file.metadata()
        save_file(load_file(path), path, metadata=kept | metadata)
    lighthouse("export", copy, tmp_path / "exported")
    assert tensor_bytes(tmp_path / "exported") == before
    for path in files:
        done = lighthouse("logits", path, "--prompt", "line", "--out", tmp_path / "logits")
        assert "written again by another program" in done.stderr
    resumed = lighthouse("train", copy, "--resume", "--set", "stages.1.steps=41", "--allow-changes")
    assert "resumed: step 120 of 121" in resumed.stdout and "written again by another program" in resumed.stderr
    data = bytearray(files[-1].read_bytes())
    data[-1] ^= 1  # damaged since
    files[-1].write_bytes(data)
    assert "the file is damaged" in lighthouse("logits", files[-1], "--prompt", "x", "--out", tmp_path / "logits", fails=True).stderr


def test_pointers_of_git_lfs(theirs, tmp_path):
    for name in ("model.safetensors", "config.json"):
        folder = tmp_path / name
        shutil.copytree(theirs, folder)
        (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
        refused = lighthouse("import", folder, "--out", tmp_path / "out", fails=True)
        assert f"{name} is a Git LFS pointer" in refused.stderr and "git lfs pull" in refused.stderr


def test_broken_folders(theirs, tmp_path):
    folder, out = tmp_path / "model", tmp_path / "out"
    assert "is no folder" in lighthouse("import", folder, "--out", out, fails=True).stderr
    folder.mkdir()
    assert "cannot read" in lighthouse("import", folder, "--out", out, fails=True).stderr
    (folder / "config.json").write_text("[]")
    assert "is not a JSON object" in lighthouse("import", folder, "--out", out, fails=True).stderr
    shutil.copy(theirs / "config.json", folder)
    neither = lighthouse("import", folder, "--out", out, fails=True).stderr
    assert "expected model.safetensors or model.safetensors.index.json; it has neither" in neither
    llama().save_pretrained(folder, max_shard_size="20KB")
    index = folder / "model.safetensors.index.json"
    whole = json.loads(index.read_text())
    name, file = next(iter(whole["weight_map"].items()))
    for files, words in [({name: "../x"}, "must name a file in the same folder; got ../x"), ({"other": file}, f"{file} lacks other"),
                         ({name: "none.safetensors"}, "none.safetensors")]:  # fmt: skip
        index.write_text(json.dumps({"weight_map": whole["weight_map"] | files}))
        assert words in lighthouse("import", folder, "--out", out, fails=True).stderr
    index.write_text("{}")
    assert "expected a JSON object with a weight_map" in lighthouse("import", folder, "--out", out, fails=True).stderr
    save_file({"model.norm.weight": torch.ones(3, dtype=torch.float64)}, folder / "model.safetensors")
    assert "model.norm.weight: expected [48], got [3]" in lighthouse("import", folder, "--out", out, fails=True).stderr
    out.mkdir()
    (out / "file").touch()
    assert "exists already" in lighthouse("import", theirs, "--out", out, fails=True).stderr


def test_a_run_goes_on_from_weights_once(theirs, tmp_path, text):
    """The run that starts from weights, stopped and resumed, is the run that was not."""
    lighthouse("import", theirs, "--out", tmp_path / "model")
    config = tmp_path / "run.toml"
    config.write_text(f"""
[model]
full_attention_layers = [1]
[data]
paths = ["{text}"]
context_length = 128
[attention]
top_k = 8
pooling_factor = 2
[training]
num_threads = 1
[[stages]]
steps = 2
[[stages]]
attention = "dense"
steps = 3
""")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    at = lambda folder: ["--set", f"output_dir={folder}"]  # noqa: E731
    lighthouse("train", config, "--init", tmp_path / "model", *at(whole))
    lighthouse("train", config, "--init", tmp_path / "model", *at(cut))
    for path in [cut / "model.safetensors", *sorted((cut / "checkpoints").iterdir())[1:]]:
        path.unlink()
    lighthouse("export", whole, tmp_path / "exported")  # of a context of 128, where the model was made for 512
    assert json.loads((tmp_path / "exported" / "config.json").read_text())["max_position_embeddings"] == 512
    resumed = lighthouse("train", config, "--resume", *at(cut))
    assert "resumed: step 2 of 5" in resumed.stdout and "weights: from" not in resumed.stdout
    assert tensor_bytes(cut) == tensor_bytes(whole)
    for path in (cut / "model.safetensors", *(cut / "checkpoints").iterdir()):
        path.unlink()
    refused = lighthouse("train", cut, "--resume", fails=True)
    assert "metrics.jsonl goes to step 5" in refused.stderr and "holds no checkpoint" in refused.stderr
    (cut / "metrics.jsonl").unlink()
    again = lighthouse("train", cut, "--resume")
    assert "starting from the beginning" in again.stderr and f"weights: from {tmp_path / 'model'}" in again.stdout
    assert tensor_bytes(cut) == tensor_bytes(whole)
    other = lighthouse("train", config, "--resume", "--init", whole, *at(cut), fails=True)
    assert "init: " in other.stderr and "another configuration" in other.stderr
    itself = lighthouse("train", config, "--init", cut, "--overwrite", *at(cut), fails=True)
    assert "init must name another folder than output_dir" in itself.stderr
    checkpoint, link = sorted((whole / "checkpoints").iterdir())[0], tmp_path / "best.safetensors"
    link.symlink_to(checkpoint)
    moved = whole.rename(tmp_path / "moved")  # its config.toml still names the old place
    checkpoint = moved / "checkpoints" / checkpoint.name
    link.unlink()
    link.symlink_to(checkpoint)
    for weights in (checkpoint, link, moved):
        part = lighthouse("train", moved, "--init", weights, "--overwrite", fails=True)
        assert "init must name another folder than output_dir" in part.stderr and checkpoint.is_file()


def test_what_imported_models_cannot_do(theirs, tmp_path):
    lighthouse("import", theirs, "--out", tmp_path / "model")
    refused = lighthouse("eval", tmp_path / "model", "--tasks", "loss", fails=True)
    assert "the model was imported and has no data to take a loss on" in refused.stderr
    refused = lighthouse("train", tmp_path / "model", fails=True)
    assert "expected at least one [[stages]]" in refused.stderr
