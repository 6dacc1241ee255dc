"""CONTRIBUTING's recipe for a new aligner, followed with a dummy one."""

from pathlib import Path

import pytest

from lingraft import alignment
from lingraft.alignment import align
from lingraft.alignment.aligners import ibm1
from lingraft.alignment.expectation import Corpus, Parameters
from lingraft.cli import main
from lingraft.corpus import Pair


def diligent(corpus: Corpus) -> Parameters:
    """A dummy aligner: IBM Model 1, trained once more."""
    parameters = ibm1(corpus)
    counts, _ = corpus.expected_counts(parameters, agreeing=False)
    corpus.maximize(parameters, counts)
    return parameters


def test_an_aligner_is_a_function_and_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(alignment.METHODS, "diligent", diligent)
    pairs = [Pair("red house", "κόκκινο σπίτι", "1"), Pair("house", "σπίτι", "2")] * 3
    links = align(pairs, method="diligent", seed=0)
    assert links.method == "diligent"
    assert links.sets()[1] == {(0, 0)}
    text, out = tmp_path / "pairs.tsv", tmp_path / "links"
    text.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in pairs), encoding="utf-8")
    languages = ["--source-lang", "en", "--target-lang", "el"]
    command = ["align", str(text), *languages, "--method", "diligent", "--out", str(out)]
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert not stopped.value.code
    assert out.read_text(encoding="utf-8").split("\n")[1] == "0-0"
