"""The plan of the study of parallel data: what conditions share, and data that is missing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from condition_cases import ENGLISH, GREEK, SETTINGS

from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.pipelines import factors
from lingraft.pipelines.conditions import Condition
from lingraft.pipelines.parallel_data import LanguageFiles, StudyInputs, TinyModels, study_plan
from lingraft.study import Plan, Store


def study_inputs(greek: dict[str, Path], model: Path) -> StudyInputs:
    files = LanguageFiles(text=[greek["text"]], pairs=[greek["pairs"]])
    return StudyInputs(
        model=model,
        tiny=TinyModels(greek["text"], vocab_size=300, width=32, num_layers=1, budget=None),
        source_lang=ENGLISH,
        second_lang=Language.parse("nl"),
        languages={str(GREEK): files},
        vocab_size=400,
        num_test=5,
        num_probe=50,
    )


def num_jobs(plan: Plan, name: str) -> int:
    return sum(job.name.startswith(name) for job in plan.order)


def test_conditions_share_what_they_have_in_common(
    greek: dict[str, Path], tiny_model: Path, tmp_path: Path
) -> None:
    span = factors.Range(
        sizes=(100,), noises=(0.5,), few=100, equal=100, learning_rates=(1e-3, 3e-4)
    )
    base = Condition(str(GREEK))
    inputs = study_inputs(greek, tiny_model)
    size = study_plan(inputs, [factors.size_factor(base, span)], SETTINGS)
    # Two methods, two sizes: pairs and links once a size; the rows also of pieces.
    assert (num_jobs(size, "pairs-"), num_jobs(size, "links-")) == (2, 2)
    assert (num_jobs(size, "rows-"), num_jobs(size, "corpus-")) == (5, 1)
    lasting = study_plan(inputs, [factors.lasting_factor(base, span)], SETTINGS)
    assert num_jobs(lasting, "trained-") == 6
    training = study_plan(inputs, [factors.training_factor(base, span)], SETTINGS)
    assert num_jobs(training, "trained-") == 8
    assert num_jobs(training, "links-") == 1
    both = [factors.lasting_factor(base, span), factors.training_factor(base, span)]
    assert num_jobs(study_plan(inputs, both, SETTINGS), "trained-") == 13
    controls = study_plan(inputs, [factors.control_factor(base)], SETTINGS)
    again = study_plan(inputs, [factors.control_factor(base)], SETTINGS)
    assert controls.targets == again.targets
    changed = study_plan(replace(inputs, seed=1), [factors.control_factor(base)], SETTINGS)
    assert controls.targets != changed.targets
    assert all(not row.done for row in controls.describe(Store(tmp_path / "store")))


@pytest.mark.parametrize(
    ("make", "expected", "where"),
    [
        (lambda base: factors.domain_factor(base, 5), "pairs of another domain", "other_pairs"),
        (
            lambda base: factors.sources_factor(base, ENGLISH, Language.parse("nl")),
            "pairs with Dutch",
            "second_pairs",
        ),
        (
            lambda base: factors.control_factor(replace(base, target_lang="fin_Latn")),
            "text and pairs of one of ell_Grek",
            "languages",
        ),
    ],
)
def test_factors_without_data_are_refused_before_anything_runs(
    make: Callable[[Condition], factors.Factor],
    expected: str,
    where: str,
    greek: dict[str, Path],
    tiny_model: Path,
) -> None:
    with pytest.raises(InputError) as caught:
        study_plan(study_inputs(greek, tiny_model), [make(Condition(str(GREEK)))], SETTINGS)
    assert (caught.value.expected, caught.value.where) == (expected, where)
