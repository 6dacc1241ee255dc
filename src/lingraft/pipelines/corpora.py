"""The corpus of an adaptation: read, checked, split, and cleared of held-out text."""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lingraft.corpus import (
    Document,
    Documents,
    NormalizationReport,
    Pairs,
    check_language,
    hold_out,
    inspect_orthography,
    normalize,
    random_split,
    read_dictionary,
    read_documents,
    read_pairs,
    summarize_rejected,
    write_rejected,
)
from lingraft.errors import InputError
from lingraft.files import read_json, write_json, write_text
from lingraft.languages import Language

VERSION = 1
MIN_SHARE_EXPECTED = 0.8
APOSTROPHES = ("'", "\u2019", "\u02bc")


def prepare_corpus(
    *,
    text: Sequence[Path],
    pairs: Sequence[Sequence[Path]],
    dictionary: Path | None,
    test: Path | None,
    valid: Path | None,
    source_lang: str,
    target_lang: str,
    num_held_out: int,
    normalization: Sequence[str],
    seed: int,
    out: Path,
) -> dict[str, Any]:
    """Writes train, valid and test documents and the pairs, with an account of what was left out.

    Every training row that matches a held-out row on either side is removed from the text (which
    tokenizer and training see) and from the pairs, and counted.

    Args:
        text: Files of target-language documents.
        pairs: Files of pairs; two files stand for a Moses pair.
        dictionary: A TSV of words and their translations, treated as pairs.
        test: Held-out rows of the user's own, parallel or not; without, they are drawn from text.
        valid: The same for choosing settings.
        source_lang: Code of the source model's main language.
        target_lang: Code of the new language.
        num_held_out: Rows of the test split, and of the valid split.
        normalization: What to normalise in training text: of ``"nfc"``, ``"zwnj"``,
            ``"homoglyphs"`` and an apostrophe such as ``"\u2019"``. Held-out text stays as it is.
        seed: Of the draw.
        out: Folder for the data.

    Returns:
        Counts and checks.
    """
    source, target = Language.parse(source_lang), Language.parse(target_lang)
    documents = read_documents(list(text), lang=target)
    bilingual = read_all_pairs(pairs, dictionary, source, target)
    if test is None or valid is None:
        split = random_split(
            documents,
            num_test=min(num_held_out, max(len(documents) // 10, 1)),
            num_valid=min(num_held_out, max(len(documents) // 10, 1)),
            seed=seed,
        )
        train = split.train
        held_out: list[Documents | Pairs] = [split.test, split.valid]
        test_rows, valid_rows = split.test, split.valid
        removed_documents = split.num_removed
    else:
        test_rows = _drawn(read_documents(test, lang=target), num_held_out, seed)
        valid_rows = _drawn(read_documents(valid, lang=target), num_held_out, seed)
        held_out = [*_both_sides(test, source, target), *_both_sides(valid, source, target)]
        cleared = hold_out(documents, held_out)
        train, removed_documents = cleared.kept, len(cleared.removed)
    kept_pairs = hold_out(bilingual, held_out)
    orthography = inspect_orthography(train)
    changes = None
    if normalization:
        train, changes = _normalized(train, normalization)
    write_documents(out / "train.jsonl", train)
    write_documents(out / "valid.jsonl", valid_rows)
    write_documents(out / "test.jsonl", test_rows)
    write_pairs(out / "pairs.jsonl", kept_pairs.kept)
    rejected = (*documents.rejected, *bilingual.rejected)
    write_rejected(rejected, out / "rejected.jsonl")
    language = check_language(train, seed=seed)
    facts = {
        "train_documents": len(train),
        "train_bytes": train.num_bytes,
        "num_pairs": len(kept_pairs.kept),
        "num_test": len(test_rows),
        "num_valid": len(valid_rows),
        "removed_documents": removed_documents,
        "removed_pairs": len(kept_pairs.removed),
        "rejected": summarize_rejected(rejected),
        "language_check": {
            "share_expected": language.share_expected,
            "known": language.known,
            "num_checked": language.num_checked,
            "shares": dict(language.shares),
        },
        "orthography": _numbers(asdict(orthography)),
        "normalization": None if changes is None else asdict(changes),
        "warnings": _warnings(language.share_expected, target, len(kept_pairs.kept)),
    }
    write_json(out / "facts.json", facts)
    return facts


def corpus_documents(folder: Path, split: str, lang: Language) -> Documents:
    """Reads one split of a prepared corpus."""
    return read_documents(folder / f"{split}.jsonl", lang=lang)


def corpus_pairs(folder: Path, source: Language, target: Language) -> Pairs:
    """Reads the pairs of a prepared corpus; none is not an error here."""
    path = folder / "pairs.jsonl"
    if path.stat().st_size == 0:
        return Pairs((), source, target)
    return read_pairs(path, source_lang=source, target_lang=target)


def all_target_text(folder: Path, lang: Language, source: Language) -> list[Document]:
    """Returns all target text that any stage saw, each text once: documents, then pairs."""
    texts = dict.fromkeys(document.text for document in corpus_documents(folder, "train", lang))
    texts.update(dict.fromkeys(pair.target for pair in corpus_pairs(folder, source, lang)))
    return [Document(text, str(number)) for number, text in enumerate(texts)]


def corpus_facts(folder: Path) -> dict[str, Any]:
    """Reads the account of a prepared corpus."""
    facts: dict[str, Any] = read_json(folder / "facts.json")
    return facts


def read_all_pairs(
    pairs: Sequence[Sequence[Path]], dictionary: Path | None, source: Language, target: Language
) -> Pairs:
    parts = [
        read_pairs(
            ",".join(map(str, files)) if len(files) > 1 else files[0],
            source_lang=source,
            target_lang=target,
        )
        for files in pairs
    ]
    if dictionary is not None:
        parts.append(read_dictionary(dictionary, source_lang=source, target_lang=target))
    return Pairs(
        tuple(record for part in parts for record in part),
        source,
        target,
        tuple(rejected for part in parts for rejected in part.rejected),
    )


def _normalized(
    documents: Documents, names: Sequence[str]
) -> tuple[Documents, NormalizationReport]:
    flags = {"nfc", "zwnj", "homoglyphs"}
    apostrophes = [name for name in names if name not in flags]
    if len(apostrophes) > 1 or any(name not in APOSTROPHES for name in apostrophes):
        raise InputError(
            expected=f"names of {', '.join(sorted(flags))} or one apostrophe of U+0027, U+2019, "
            "U+02BC",
            got=", ".join(names),
            where="normalize",
        )
    return normalize(
        documents,
        nfc="nfc" in names,
        strip_zwnj="zwnj" in names,
        homoglyphs="homoglyphs" in names,
        apostrophe=apostrophes[0] if apostrophes else None,
    )


def _both_sides(path: Path, source: Language, target: Language) -> list[Documents | Pairs]:
    """Held-out rows with their other side too, where the file has one."""
    documents = read_documents(path, lang=target)
    try:
        return [documents, read_pairs(path, source_lang=source, target_lang=target)]
    except InputError:  # a monolingual file has no pairs, which is fine
        return [documents]


def _drawn(documents: Documents, num: int, seed: int) -> Documents:
    rows = list(documents)
    random.Random(seed).shuffle(rows)
    return Documents(tuple(rows[:num]), documents.lang)


def write_documents(path: Path, documents: Documents) -> None:
    _write_rows(path, [{"id": d.id, "text": d.text} for d in documents])


def write_pairs(path: Path, pairs: Pairs) -> None:
    _write_rows(path, [{"id": p.id, "source": p.source, "target": p.target} for p in pairs])


def _write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _numbers(facts: dict[str, Any]) -> dict[str, Any]:
    """Keeps what JSON can hold of an orthography report."""
    kept: dict[str, Any] = {}
    for key, value in facts.items():
        if isinstance(value, int | float | str) or value is None:
            kept[key] = value
        elif isinstance(value, dict):
            kept[key] = {str(name): number for name, number in value.items()}
    return kept


def _warnings(share: float | None, target: Language, num_pairs: int) -> list[str]:
    warnings = []
    if share is None:
        warnings.append(
            f"The language identifier does not know {target.name} or saw too little text: "
            "nothing was checked."
        )
    elif share < MIN_SHARE_EXPECTED:
        warnings.append(
            f"Only {share:.0%} of the checked texts look like {target.name}: is the text in the "
            "language that was named?"
        )
    if num_pairs == 0:
        warnings.append(
            "Without pairs or a dictionary, rows come from the pieces that spell a token, which "
            "carries over much less than translation does."
        )
    return warnings
