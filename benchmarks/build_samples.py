"""Makes the samples that lingraft bundles, for maintainers: ``build_samples.py FOLDER``.

FOLDER holds the prepared parallel text and the prepared Gospels:

    parallel/libreoffice-help.{train,valid,test}.jsonl.xz    copied as they are
    parallel/udhr.test.jsonl.xz                              copied; its English goes into
    alignments/grc-en.bible-gospels.gold.jsonl.xz            general-english, with some verses

Of the last only `id` and `tgt_text` are read, the Berean Standard Bible, which is in the public
domain; the alignments and the Greek text are under other licences and stay out.
"""

import argparse
import json
import lzma
import random
import sys
from pathlib import Path
from typing import Any

from lingraft.files import write_bytes

SAMPLES = Path(__file__).parent.parent / "src" / "lingraft" / "corpus" / "samples"
COPIED = (
    "libreoffice-help.train.jsonl.xz",
    "libreoffice-help.valid.jsonl.xz",
    "libreoffice-help.test.jsonl.xz",
    "udhr.test.jsonl.xz",
)
NUM_BLOCKS = 25
VERSES_A_BLOCK = 10
SEED = 0


def main() -> None:
    """Writes every sample and prints what became of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=SAMPLES, help="default: the package's folder")
    arguments = parser.parse_args()
    for name in COPIED:
        write_bytes(arguments.out / name, (arguments.folder / "parallel" / name).read_bytes())
    english = [
        {"ref": row["ref"], "text": row["en"]}
        for row in read_rows(arguments.folder / "parallel" / "udhr.test.jsonl.xz")
    ]
    verses = read_rows(arguments.folder / "alignments" / "grc-en.bible-gospels.gold.jsonl.xz")
    english += draw_blocks(verses)
    write_rows(arguments.out / "general-english.jsonl.xz", english)
    for path in sorted(arguments.out.glob("*.xz")):
        print(f"{path.name}\t{path.stat().st_size} bytes", file=sys.stderr)


def draw_blocks(verses: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Draws blocks of consecutive verses that neither overlap nor run into the next book."""
    starts = [
        i
        for i in range(0, len(verses) - VERSES_A_BLOCK + 1, VERSES_A_BLOCK)
        if verses[i]["book"] == verses[i + VERSES_A_BLOCK - 1]["book"]
    ]
    drawn = sorted(random.Random(SEED).sample(starts, NUM_BLOCKS))
    return [
        {"ref": verse["id"].replace("bible/", "bsb/"), "text": verse["tgt_text"]}
        for start in drawn
        for verse in verses[start : start + VERSES_A_BLOCK]
    ]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Reads an xz-compressed file of JSON lines."""
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as stream:
        return [json.loads(line) for line in stream]


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    """Writes an xz-compressed file of JSON lines; equal rows are equal bytes."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_bytes(path, lzma.compress(text.encode("utf-8"), preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main()
