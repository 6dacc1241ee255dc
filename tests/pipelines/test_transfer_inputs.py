"""Sources of a study of data transfer: how they are written, and shares that are none."""

import pytest
from transfer_study_cases import ENGLISH

from lingraft.errors import InputError
from lingraft.pipelines.transfer_inputs import Source


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("en", Source("eng_Latn", "eng_Latn")),
        ("Greek", Source("ell_Grek", "ell_Grek")),
        ("shuffled", Source("shuffled", "eng_Latn", control="shuffled")),
        ("code", Source("code", "eng_Latn", control="code")),
        (
            "nl+el:0.01",
            Source("nld_Latn+1.00% ell_Grek", "nld_Latn", None, "ell_Grek", 0.01),
        ),
    ],
)
def test_sources_are_named_in_several_forms(text: str, source: Source) -> None:
    assert Source.parse(text, first=ENGLISH) == source


@pytest.mark.parametrize("text", ["en+nl", "en+nl:", "en+nl:x", "en+nl:0", "en+nl:1", "en+nl:nan"])
def test_shares_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Source.parse(text, first=ENGLISH)
    assert caught.value.expected == "a share of lines in (0, 1), such as en+nl:0.01"
    assert (caught.value.got, caught.value.where) == (text, "sources")
