"""GGUF files for llama.cpp and what builds on it, written from a folder tensor by tensor."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from numpy.typing import NDArray

from lingraft.errors import ModelError
from lingraft.files import atomic_path
from lingraft.model.folders import StoredVocabulary, find_vocabulary
from lingraft.model.pre_tokenizers import pre_tokenizer_name
from lingraft.model.shards import DTYPES, StoredTensor, open_shards
from lingraft.tokenizer.tokenizer import Tokenizer

_TOP = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_BLOCK = {
    "input_layernorm.weight": "attn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}
_RECOMPUTED = "rotary_emb.inv_freq"  # older files store what the configuration already says
_TYPES = {
    "F32": gguf.GGMLQuantizationType.F32,
    "F16": gguf.GGMLQuantizationType.F16,
    "BF16": gguf.GGMLQuantizationType.BF16,
}


@dataclass(frozen=True)
class GgufFile:
    """A written GGUF file.

    Attributes:
        path: The file.
        pre_tokenizer: The name under which llama.cpp has the tokenizer's rules.
        num_tensors: Tensors in it; a tied head is none.
        num_bytes: Its size.
    """

    path: Path
    pre_tokenizer: str
    num_tensors: int
    num_bytes: int


def write_gguf(folder: Path, path: Path) -> GgufFile:
    """Writes a Llama-type folder as one GGUF file, matrices in their own dtype.

    Only one tensor at a time is in memory. Values are not changed: quantising is the work of
    llama.cpp's own tool.

    Args:
        folder: A folder whose `model_type` is llama, or mistral without a sliding window, with a
            byte-level BPE tokenizer.
        path: The file; written whole or not at all.

    Returns:
        What was written.

    Raises:
        InputError: No readable configuration or tokenizer.
        ModelError: Another architecture or tokenizer, rules that llama.cpp does not have, or
            weights that do not fit the configuration.
        StoreError: The folder cannot be written or the disk is full.
    """
    tokenizer = Tokenizer.load(folder)
    name = pre_tokenizer_name(tokenizer)
    found = find_vocabulary(folder)
    config = found.skeleton.config
    _check_architecture(config, folder)
    num_rows = found.input.shape[0]
    if len(tokenizer) > num_rows:
        raise ModelError(
            expected=f"at most {num_rows} token ids, one for each embedding row",
            got=str(len(tokenizer)),
            where=str(folder),
        )
    tensors = _tensors(folder, found)
    with atomic_path(path) as temporary:
        writer = gguf.GGUFWriter(temporary, "llama")
        _add_settings(writer, config, folder.resolve().name, num_rows)
        _add_tokenizer(writer, tokenizer, name, num_rows, _stop_ids(found))
        for target, tensor in tensors:
            kind = _type_of(tensor)
            size = DTYPES["F32" if kind == _TYPES["F32"] else tensor.dtype].itemsize
            shape = (*tensor.shape[:-1], tensor.shape[-1] * size)
            writer.add_tensor_info(target, shape, np.dtype(np.uint8), int(np.prod(shape)), kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for _, tensor in tensors:
            writer.write_tensor_data(_values(tensor, config))
        writer.close()
    return GgufFile(path, name, len(tensors), path.stat().st_size)


def permute_rotary(weight: torch.Tensor, num_heads: int) -> torch.Tensor:
    """Reorders the rows (H·d, D) of a query or key matrix as llama.cpp rotates them.

    transformers turns dimension i of a head together with i + d/2, llama.cpp's Llama 2i with
    2i + 1: row i of the first half goes to 2i, of the second half to 2i + 1.
    """
    half = weight.shape[0] // num_heads // 2
    paired = weight.reshape(num_heads, 2, half, *weight.shape[1:])
    return paired.transpose(1, 2).reshape(weight.shape).contiguous()


def _check_architecture(config: Any, folder: Path) -> None:
    rope = dict(config.rope_parameters or {})
    wrong = {
        "model_type": config.model_type not in ("llama", "mistral"),
        "sliding_window": getattr(config, "sliding_window", None) is not None,
        "hidden_act": config.hidden_act != "silu",
        "rope_type": rope.get("rope_type", "default") != "default",
    }
    for name, bad in wrong.items():
        if bad:
            raise ModelError(
                expected="a Llama without sliding windows or rescaled rotary embeddings",
                got=f"{name} {rope.get(name, getattr(config, name, None))!r}",
                where=str(folder / "config.json"),
                hint="export to safetensors, or convert with llama.cpp's own script",
            )


def _tensors(folder: Path, found: StoredVocabulary) -> list[tuple[str, StoredTensor]]:
    """GGUF names with their tensors: the vocabulary first, then block by block."""
    wanted = dict(_TOP)
    for number in range(int(found.skeleton.config.num_hidden_layers)):
        for name, gguf_name in _BLOCK.items():
            wanted[f"model.layers.{number}.{name}"] = f"blk.{number}.{gguf_name}"
    if found.output is None:
        del wanted["lm_head.weight"]
    stored = {
        tensor.name: tensor
        for shard in open_shards(folder)
        for tensor in shard.tensors
        if tensor != found.copy and not tensor.name.endswith(_RECOMPUTED)
    }
    if stored.keys() != wanted.keys():
        extra, missing = sorted(stored.keys() - wanted), sorted(wanted.keys() - stored)
        raise ModelError(
            expected="the tensors of a Llama without biases",
            got=f"{extra[0]} beside them" if extra else f"none called {missing[0]}",
            where=str(folder),
        )
    return [(gguf_name, stored[name]) for name, gguf_name in wanted.items()]


def _type_of(tensor: StoredTensor) -> gguf.GGMLQuantizationType:
    if tensor.dtype not in _TYPES:
        raise ModelError(
            expected=f"tensors of {', '.join(_TYPES)}",
            got=tensor.dtype,
            where=f"{tensor.path}, {tensor.name}",
        )
    # llama.cpp computes with vectors in float32 only.
    return _TYPES["F32"] if len(tensor.shape) == 1 else _TYPES[tensor.dtype]


def _values(tensor: StoredTensor, config: Any) -> NDArray[np.uint8]:
    with tensor.path.open("rb") as stream:
        stream.seek(tensor.begin)
        buffer = bytearray(stream.read(tensor.num_bytes))
    values = torch.frombuffer(buffer, dtype=DTYPES[tensor.dtype]).view(tensor.shape)
    if values.ndim == 1:
        values = values.float()
    if tensor.name.endswith("q_proj.weight"):
        values = permute_rotary(values, config.num_attention_heads)
    elif tensor.name.endswith("k_proj.weight"):
        values = permute_rotary(values, config.num_key_value_heads)
    array: NDArray[np.uint8] = values.view(torch.uint8).numpy()
    return array


def _add_settings(writer: gguf.GGUFWriter, config: Any, name: str, num_rows: int) -> None:
    head_dim = getattr(config, "head_dim", None) or (
        config.hidden_size // config.num_attention_heads
    )
    writer.add_name(name)
    writer.add_vocab_size(num_rows)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def _add_tokenizer(
    writer: gguf.GGUFWriter, tokenizer: Tokenizer, name: str, num_rows: int, stop_ids: list[int]
) -> None:
    content = tokenizer.to_json()
    tokens = [f"[PAD{number}]" for number in range(num_rows)]
    types = [gguf.TokenType.UNUSED] * num_rows
    for token, number in content["model"]["vocab"].items():
        tokens[number], types[number] = token, gguf.TokenType.NORMAL
    for entry in content["added_tokens"]:
        tokens[entry["id"]] = entry["content"]
        types[entry["id"]] = (
            gguf.TokenType.CONTROL if entry["special"] else gguf.TokenType.USER_DEFINED
        )
    merges = [m if isinstance(m, str) else " ".join(m) for m in content["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(name)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    _add_special_ids(writer, tokenizer, stop_ids)
    if tokenizer.chat_template is not None:
        writer.add_chat_template(tokenizer.chat_template)


def _add_special_ids(writer: gguf.GGUFWriter, tokenizer: Tokenizer, stop_ids: list[int]) -> None:
    bos, eos = tokenizer.role_id("bos_token"), tokenizer.role_id("eos_token")
    if eos is None and stop_ids:
        eos = stop_ids[0]
    if eos is None:
        raise ModelError(
            expected="an end token",
            got="none",
            where="tokenizer_config.json",
            hint="llama.cpp would take the ordinary token 11 for one",
        )
    plain = tokenizer.encode("a")
    dressed = list(tokenizer.backend.encode("a", add_special_tokens=True).ids)
    starts = dressed[: len(plain)] != plain
    ends = dressed[int(starts) + len(plain) :] != []
    if dressed != [*([bos] if starts else []), *plain, *([eos] if ends else [])]:
        raise ModelError(
            expected="a post-processor that adds a start token, an end token, both or neither",
            got=f"ids {dressed} for {plain}",
            where="tokenizer.json",
        )
    writer.add_eos_token_id(eos)
    if bos is not None:
        writer.add_bos_token_id(bos)
    for role, add in (
        ("pad_token", writer.add_pad_token_id),
        ("unk_token", writer.add_unk_token_id),
    ):
        number = tokenizer.role_id(role)
        if number is not None:
            add(number)
    others = [number for number in stop_ids if number != eos]
    if others:
        writer.add_eot_token_id(others[0])
    writer.add_add_bos_token(starts)
    writer.add_add_eos_token(ends)


def _stop_ids(found: StoredVocabulary) -> list[int]:
    """The ids that end a generation, as the folder's own settings have them."""
    given: list[Any] = []
    path = found.input.path.parent / "generation_config.json"
    if path.exists():
        given.append(json.loads(path.read_bytes()).get("eos_token_id"))
    given.append(found.skeleton.config.eos_token_id)
    return list(dict.fromkeys(_flat(given)))


def _flat(values: list[Any]) -> Iterator[int]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        elif value is not None:
            yield int(value)
