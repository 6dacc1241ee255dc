"""A tiny English model in a folder, small corpora in files, and a whole study of data transfer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from condition_cases import CODES, GREEK, new_folder
from tiny_models import save_tiny_llama
from transfer_study_cases import DUTCH, RUNTIME, SETTINGS, make_inputs

from lingraft.corpus import samples
from lingraft.languages import Language
from lingraft.pipelines.conditions import condition_corpus
from lingraft.pipelines.corpora import prepare_corpus
from lingraft.pipelines.transfer_study import transfer_plan
from lingraft.pipelines.vocabularies import new_tokenizer
from lingraft.study import Artifact, Plan, Store, run


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


@pytest.fixture(scope="session")
def corpus(greek: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared corpus of 600 Greek pairs, ten of them held out."""
    out = tmp_path_factory.mktemp("corpus")
    prepare_corpus(
        text=[greek["text"]],
        pairs=[[greek["pairs"]]],
        dictionary=None,
        test=None,
        valid=None,
        num_held_out=5,
        normalization=[],
        seed=0,
        out=out,
        **CODES,
    )
    return out


@pytest.fixture
def make_condition(corpus: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes a condition's corpus; what is not said is as in the base."""
    number = 0

    def make(**changes: Any) -> Path:
        nonlocal number
        number += 1
        out = new_folder(tmp_path / f"condition-{number}")
        settings: dict[str, Any] = {
            "other_pairs": None,
            "dictionary": None,
            "kind": "parallel",
            "num_pairs": None,
            "noise": 0.0,
            "untranslated": 0.0,
            "num_probe": 50,
            "seed": 0,
        } | changes
        condition_corpus(corpus=corpus, out=out, **CODES, **settings)
        return out

    return make


@pytest.fixture(scope="session")
def vocabulary(
    corpus: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A new tokenizer for the corpus, and the model that it is for."""
    out = tmp_path_factory.mktemp("vocabulary")
    new_tokenizer(
        corpus=corpus,
        model=tiny_model,
        target_lang=str(GREEK),
        vocab_size=400,
        tokenizer=None,
        out=out,
    )
    return {"model": tiny_model, "tokenizer": out}


@pytest.fixture(scope="session")
def transfer_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Train, valid and test rows in three languages, each of pages of its own.

    As in many corpora, ids are unique within a file only.
    """
    folder = tmp_path_factory.mktemp("transfer")
    greek, dutch = (
        samples.load_pairs("valid", target_lang=lang).records
        for lang in (GREEK, Language.parse(DUTCH))
    )
    theirs = {pair.id: pair.target for pair in dutch}
    rows = [
        {"id": pair.id, "en": pair.source, "el": pair.target, "nl": theirs[pair.id]}
        for pair in greek
        if pair.id in theirs
    ]
    pages = sorted({row["id"].partition("#")[0] for row in rows})
    parts = {"valid": set(pages[:4]), "test": set(pages[4:8]), "train": set(pages[8:60])}
    ids = [row["id"] for row in rows if row["id"].partition("#")[0] in parts["train"]]
    found = {}
    for name, chosen in parts.items():
        found[name] = folder / f"{name}.jsonl"
        kept = [row for row in rows if row["id"].partition("#")[0] in chosen]
        if name != "train":
            kept = [row | {"id": other} for row, other in zip(kept, ids, strict=False)]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
        found[name].write_text(text, encoding="utf-8")
    return found


@pytest.fixture(scope="session")
def transfer_study(
    transfer_files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Plan, Store, Artifact]:
    """The study, run once for all tests."""
    store = Store(tmp_path_factory.mktemp("study") / "store")
    plan = transfer_plan(make_inputs(transfer_files), SETTINGS)
    return plan, store, run(plan, store=store, runtime=RUNTIME)["report"]
