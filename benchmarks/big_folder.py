"""Memory of a graft on a model that is larger than it: `lingraft graft` on a generated folder.

    python benchmarks/big_folder.py [--gigabytes 10] [--folder DIR]

A Llama folder in bfloat16, untied: two matrices of 128,000 x 4,096 (1.05 GB each) and body shards
of random numbers. A second process grafts a Greek vocabulary of up to 32,000 ids onto it with the
method `pieces`; its peak resident memory is printed beside the size of the checkpoint. Prints FAIL
above 6 GB. All that it generated is deleted afterwards.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tokenizers
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig

from lingraft.corpus import samples
from lingraft.languages import Language
from lingraft.tokenizer import Tokenizer, train_bpe

NUM_ROWS, WIDTH, INNER, NUM_HEADS, NUM_KEY_HEADS = 128_000, 4_096, 11_008, 32, 8
NUM_NEW_IDS = 32_000
LIMIT_BYTES = 6 * 10**9
START, END = "<|start|>", "<|end|>"
LINGRAFT = (sys.executable, "-c", "from lingraft.cli import main; main()")


def main() -> None:
    """Generates, grafts in a second process, prints, deletes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=10.0)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where to make it; made if missing"
    )
    given = parser.parse_args()
    if given.folder is not None:
        given.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="big-folder-", dir=given.folder))
    try:
        num_bytes = write_model(folder / "model", given.gigabytes)
        tokenizer("el", NUM_NEW_IDS).save(folder / "tokenizer")
        command = [*LINGRAFT, "graft", str(folder / "model")]
        command += ["--tokenizer", str(folder / "tokenizer"), "--to", "el", "--method", "pieces"]
        started = time.monotonic()
        subprocess.run([*command, "--out", str(folder / "out")], check=True)
        seconds = time.monotonic() - started
        # ru_maxrss counts kilobytes on Linux, bytes on macOS.
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        peak *= 1 if sys.platform == "darwin" else 1024
        print(f"checkpoint {num_bytes / 1e9:.2f} GB, {seconds:.0f} s")
        print(f"peak resident memory {peak / 1e9:.2f} GB, limit {LIMIT_BYTES / 1e9:.0f} GB")
        check = [*LINGRAFT, "graft", "--check", str(folder / "out")]
        sound = subprocess.run(check, check=False).returncode == 0
        print("pass" if sound and peak < LIMIT_BYTES else "FAIL")
    finally:
        shutil.rmtree(folder)


def write_model(folder: Path, gigabytes: float) -> int:
    """Writes as many layers as make up the size, a shard each; returns the bytes of all."""
    shapes = {
        "self_attn.q_proj": (WIDTH, WIDTH),
        "self_attn.k_proj": (WIDTH * NUM_KEY_HEADS // NUM_HEADS, WIDTH),
        "self_attn.v_proj": (WIDTH * NUM_KEY_HEADS // NUM_HEADS, WIDTH),
        "self_attn.o_proj": (WIDTH, WIDTH),
        "mlp.gate_proj": (INNER, WIDTH),
        "mlp.up_proj": (INNER, WIDTH),
        "mlp.down_proj": (WIDTH, INNER),
        "input_layernorm": (WIDTH,),
        "post_attention_layernorm": (WIDTH,),
    }
    layer_bytes = 2 * sum(torch.Size(shape).numel() for shape in shapes.values())
    num_layers = max(round((gigabytes * 1e9 - 4 * NUM_ROWS * WIDTH) / layer_bytes), 1)
    folder.mkdir(parents=True)
    own = tokenizer("en", NUM_ROWS, filled=True)
    own.save(folder)
    config = LlamaConfig(
        vocab_size=NUM_ROWS,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=num_layers,
        num_attention_heads=NUM_HEADS,
        num_key_value_heads=NUM_KEY_HEADS,
        tie_word_embeddings=False,
        bos_token_id=own.role_id("bos_token"),
        eos_token_id=own.role_id("eos_token"),
        dtype="bfloat16",
        architectures=["LlamaForCausalLM"],
    )
    (folder / "config.json").write_text(config.to_json_string())
    shards = [{"model.embed_tokens.weight": (NUM_ROWS, WIDTH), "model.norm.weight": (WIDTH,)}]
    for layer in range(num_layers):
        shards.append({f"model.layers.{layer}.{n}.weight": s for n, s in shapes.items()})
    shards.append({"lm_head.weight": (NUM_ROWS, WIDTH)})
    places, total = {}, 0
    for number, shard in enumerate(shards, start=1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        tensors = {key: (torch.randn(shape) * 0.02).bfloat16() for key, shape in shard.items()}
        save_file(tensors, folder / name, metadata={"format": "pt"})
        places |= dict.fromkeys(tensors, name)
        total += sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return total


def tokenizer(lang: str, num_ids: int, *, filled: bool = False) -> Tokenizer:
    """A vocabulary of at most `num_ids`, or of so many, filled up with tokens no text is cut to."""
    documents = samples.load_documents("train", lang=Language.parse(lang))
    content = train_bpe(documents, vocab_size=num_ids - 2).to_json()
    vocabulary = content["model"]["vocab"]
    for number in range(len(vocabulary), num_ids - 2 if filled else 0):
        vocabulary[f"unused{number}"] = number
    backend = tokenizers.Tokenizer.from_str(json.dumps(content))
    backend.add_special_tokens([START, END])
    return Tokenizer(backend, {"bos_token": START, "eos_token": END})


if __name__ == "__main__":
    main()
