"""A tiny English model in a folder, and a small Greek corpus in files."""

import json
from pathlib import Path

import pytest
from tiny_models import save_tiny_llama

from lingraft.corpus import samples
from lingraft.languages import Language

GREEK = Language.parse("el")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random Llama."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_tiny_llama(folder)
    return folder


@pytest.fixture(scope="session")
def greek(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of about 100 kB of Greek: text, pairs and a dictionary."""
    folder = tmp_path_factory.mktemp("greek")
    rows = samples.load_pairs("valid", target_lang=GREEK).records[:600]
    text, pairs, words = folder / "el.jsonl", folder / "pairs.tsv", folder / "words.tsv"
    text.write_text(
        "".join(
            json.dumps({"id": row.id, "text": row.target}, ensure_ascii=False) + "\n"
            for row in rows
        ),
        encoding="utf-8",
    )
    pairs.write_text("".join(f"{row.source}\t{row.target}\n" for row in rows), encoding="utf-8")
    words.write_text("file\tαρχείο\nwindow\tπαράθυρο\ntext\tκείμενο\n", encoding="utf-8")
    return {"text": text, "pairs": pairs, "dictionary": words}
