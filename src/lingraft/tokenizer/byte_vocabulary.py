"""The vocabulary of byte models: every byte is a token, and nothing else but three roles is.

An ordinary byte-level BPE without merges, so that every tool that reads `tokenizer.json` reads it.
"""

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.tokenizer.vocabulary import byte_alphabet

START, END, PADDING = "<s>", "</s>", "<pad>"


def byte_tokenizer() -> Tokenizer:
    """Returns the tokenizer of byte models: 259 ids, and no text is lost or changed.

    Id b stands for byte b; 256, 257 and 258 are ``<s>``, ``</s>`` and ``<pad>``. There is no
    normaliser and no cutting into words, so that a text of n UTF-8 bytes always has n ids.

    Models of arXiv 2404.08191 have 384 rows for these ids, a multiple of 128 (`model.byte_lm`).

    Example:
        >>> byte_tokenizer().encode("hé")
        [104, 195, 169]
    """
    spelling = byte_alphabet()
    backend = tokenizers.Tokenizer(
        models.BPE(vocab={spelling[byte]: byte for byte in range(256)}, merges=[])
    )
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(
        [tokenizers.AddedToken(text, special=True) for text in (START, END, PADDING)]
    )
    roles = {"bos_token": START, "eos_token": END, "pad_token": PADDING}
    # Without this setting some versions of transformers tidy spaces before punctuation away.
    return Tokenizer(backend, roles, settings={"clean_up_tokenization_spaces": False})
