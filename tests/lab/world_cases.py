"""Arguments of small worlds of every kind."""

from typing import Any

from hypothesis import strategies as st

SMALL: dict[str, Any] = {"subjects": 12, "relations": 3, "values": 12, "unseen_subjects": 3}
SHARES = st.sampled_from([0.0, 0.25, 0.5, 1.0])
SPELLED = [
    {"tokens": "symbols"},
    {"tokens": "bytes"},
    {"tokens": "bytes", "transliterated": True},
    {"tokens": "bpe", "vocab_size": 270},
    {"tokens": "bpe", "vocab_size": 270, "bpe_merges": "separate"},
]
STYLES = [
    {"style": "triples"},
    {"style": "biographies", "paraphrases": 3},
    {"style": "biographies", "paraphrases": 3, "repeat_names": False},
]


@st.composite
def arguments(draw: st.DrawFn, *, monolingual: bool = False) -> dict[str, Any]:
    """Draws arguments of `make_world`; where asked, with monolingual facts for sure."""
    parallel = st.sampled_from([0.0, 0.25, 0.5]) if monolingual else SHARES
    return {
        **SMALL,
        **draw(st.sampled_from(SPELLED)),
        **draw(st.sampled_from(STYLES)),
        "languages": draw(st.sampled_from([2, 3, 4])),
        "parallel_share": draw(parallel),
        "parallel_by": draw(st.sampled_from(["fact", "subject"])),
        "names": draw(st.sampled_from(["single", "multi"])),
        "predict": draw(st.sampled_from(["values", "all"])),
        "template_tokens": draw(st.integers(1, 3)),
        "template_types": 5,
        "seed": draw(st.integers(0, 5)),
        **{
            name: draw(SHARES)
            for name in (
                "informativeness",
                "template_cues",
                "tag_share",
                "subject_overlap",
                "relation_overlap",
                "value_overlap",
                "cue_flips",
            )
        },
    }
