"""Tokenizers of every spelling that surgery works on."""

from dataclasses import replace

import tokenizers
from tiny_tokenizers import TEXTS
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors

from lingraft.corpus.records import Document
from lingraft.tokenizer import Tokenizer, train_bpe

SPACE_MARK = "\N{LOWER ONE EIGHTH BLOCK}"
# Two lines of English, the old language; two of Greek and one of Thai, the new ones.
OLD, NEW = TEXTS[:2], (*TEXTS[2:4], TEXTS[5])
SPELLINGS = ("byte_level", "whole_words", "metaspace", "no_pre_tokenizer")


def documents_of(*texts: str) -> list[Document]:
    return [Document(text, f"document-{number}") for number, text in enumerate(texts)]


def make_tokenizer(spelling: str) -> Tokenizer:
    """A base tokenizer that knows English and has special tokens and one added text token."""
    if spelling in ("byte_level", "whole_words"):
        return dressed(byte_level(ignore_merges=spelling == "whole_words"))
    return dressed(sentencepiece(pre_tokenizer=spelling == "metaspace"))


def byte_level(*, ignore_merges: bool) -> Tokenizer:
    """Byte-level BPE; with `ignore_merges`, like Llama 3's, words that are tokens need no merge."""
    plain = train_bpe(documents_of(*OLD * 3), vocab_size=320)
    content = plain.to_json()
    backend = tokenizers.Tokenizer(
        models.BPE(
            vocab=content["model"]["vocab"],
            merges=[tuple(pair) for pair in content["model"]["merges"]],
            ignore_merges=ignore_merges,
        )
    )
    backend.pre_tokenizer, backend.decoder = plain.backend.pre_tokenizer, plain.backend.decoder
    return Tokenizer(backend)


def sentencepiece(*, pre_tokenizer: bool) -> Tokenizer:
    """Characters and merges with raw bytes for the rest, with words cut or not, like Llama 2's."""
    trained = tokenizers.Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=90, show_progress=False)
    trained.train_from_iterator([*OLD] * 3, trainer)
    rules = Tokenizer(trained).to_json()["model"]
    raw = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    learnt = sorted(rules["vocab"], key=rules["vocab"].__getitem__)
    backend = tokenizers.Tokenizer(
        models.BPE(
            vocab={token: number for number, token in enumerate([*raw, *learnt])},
            merges=[tuple(pair) for pair in rules["merges"]],
            unk_token="<unk>",
            byte_fallback=True,
            fuse_unk=True,
        )
    )
    if pre_tokenizer:
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
        after: list[decoders.Decoder] = [decoders.Metaspace()]
    else:
        backend.normalizer = normalizers.Sequence(
            [normalizers.Prepend(SPACE_MARK), normalizers.Replace(" ", SPACE_MARK)]
        )
        after = [decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(
        [decoders.Replace(SPACE_MARK, " "), decoders.ByteFallback(), *after]
        if not pre_tokenizer
        else [decoders.ByteFallback(), *after]
    )
    backend.add_special_tokens(["<unk>"])
    return Tokenizer(backend)


def dressed(plain: Tokenizer) -> Tokenizer:
    """Adds special tokens behind all others, one added token of text, and a post-processor."""
    backend = tokenizers.Tokenizer.from_str(plain.backend.to_str())
    backend.add_special_tokens(["<s>", "</s>"])
    backend.add_tokens([AddedToken("<tab>", normalized=False)])
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        special_tokens=[(name, backend.token_to_id(name)) for name in ("<s>", "</s>")],
    )
    roles = {"bos_token": "<s>", "eos_token": "</s>"}
    return replace(plain, backend=backend, roles=roles, chat_template="{{ messages }}")
