"""What makes a fact that was told in one language known in another, and what does it cost?

    lingraft plan recipes/interventions.py --scale laptop
    lingraft run recipes/interventions.py --scale laptop --workers 2 --threads 1
    lingraft run recipes/interventions.py --scale laptop --set parallel_shares=0.01,0.05,0.2

The base is a world of two languages in which transfer fails: facts tell their language, every word
shows it, and no fact is told twice. Each arm changes one thing: balanced attributes, hidden cues,
parallel facts, code-mixed text, language tags, a contrastive loss on parallel facts, scripts apart
and merges apart. Every arm says what it changes in the two forces of arXiv 2508.11017 and what it
buys in bits per fact beside its base. Also: one language after the other in both orders, and which
training examples made the answers likelier. The target `report` holds `record.json` and
`report.html`.
"""

from typing import Any

from lingraft.lab import TinyDecoder, make_world
from lingraft.lab.arguments import whole_number
from lingraft.lab.contrast import ContrastSettings
from lingraft.measurement.unification import middle_layer
from lingraft.pipelines.intervention_arms import Doses
from lingraft.pipelines.interventions import InterventionSettings, intervention_plan
from lingraft.pipelines.lab_runs import LabSettings
from lingraft.pipelines.listed_numbers import listed_numbers
from lingraft.study import Plan

SCALES = ("tiny", "laptop", "paper")
WORLDS: dict[str, dict[str, Any]] = {
    "tiny": {"subjects": 30, "relations": 3, "values": 8, "unseen_subjects": 4},
    "laptop": {},
    "paper": {"subjects": 4_000},
}
SETTINGS = {
    "tiny": InterventionSettings(
        lab=LabSettings(
            TinyDecoder(width=16, num_layers=2, num_heads=2),
            steps=40,
            checkpoints=(20, 40),
            batch_size=16,
            warmup_steps=5,
            num_facts=10,
            num_resamples=10,
        ),
        num_seeds=2,
        num_spelled_facts=5,
        num_probes=5,
        num_traced=1,
    ),
    "laptop": InterventionSettings(
        lab=LabSettings(TinyDecoder(), steps=800, checkpoints=(200, 400, 800)),
        num_seeds=3,
        num_spelled_facts=40,
        num_probes=40,
        num_traced=1,
    ),
    "paper": InterventionSettings(
        lab=LabSettings(
            TinyDecoder(width=256, num_layers=6, num_heads=8),
            steps=8_000,
            checkpoints=(1_000, 2_000, 4_000, 8_000),
        ),
        num_seeds=5,
        num_spelled_facts=100,
        num_probes=100,
        num_traced=2,
    ),
}
# Few parallel facts leave the auxiliary loss something to do: a fifth of them heals everything.
PARALLEL_SHARES = {"tiny": (0.2, 0.4), "laptop": (0.02, 0.1), "paper": (0.02, 0.1)}
NUM_PAIRS = {"tiny": 8, "laptop": 32, "paper": 64}
SPELLINGS = {"tiny": "bpe", "laptop": "bpe", "paper": "bpe,bytes"}
SPELLED_INFORMATIVENESS = {"tiny": (1.0,), "laptop": (1.0, 0.5), "paper": (1.0, 0.5)}
TEMPERATURE = 0.1


def plan(
    scale: str,
    *,
    seeds: int | None = None,
    steps: int | None = None,
    subjects: int | None = None,
    relations: int | None = None,
    values: int | None = None,
    base_informativeness: float = 1.0,
    base_template_cues: float = 1.0,
    base_parallel_share: float = 0.0,
    informativeness: str = "0.5,0",
    extractability: str = "0.95,0.5",
    parallel_shares: str | None = None,
    cue_flips: str = "0.05,0.2",
    tag_shares: str = "1",
    contrast_weights: str = "0.1,1",
    spellings: str | None = None,
    spelled_informativeness: str | None = None,
    seed: int = 0,
) -> Plan:
    """Returns the jobs of the comparison.

    Args:
        scale: `tiny` is a smoke test; `laptop` takes half an hour on two cores; `paper` has larger
            worlds and models, for a GPU or a cluster.
        seeds: Members of each arm.
        steps: Of training.
        subjects: Of the world.
        relations: Facts of each subject.
        values: Of each relation.
        base_informativeness: Of the base: how much a fact's value tells of its language.
        base_template_cues: Of the base: chance of a template word to be of one language alone.
        base_parallel_share: Of the base: share of facts told in both languages.
        informativeness: Doses of balance, with commas.
        extractability: Doses of hidden cues, with commas.
        parallel_shares: Doses of parallel facts, with commas, the smallest first.
        cue_flips: Doses of code-mixing, with commas.
        tag_shares: Doses of language tags, with commas.
        contrast_weights: Doses of the contrastive loss, with commas.
        spellings: Tokens of spelled worlds, bpe and bytes, with commas.
        spelled_informativeness: Of spelled worlds, one base each, with commas.
        seed: Of everything that is drawn.

    Raises:
        InputError: A setting is out of range or stands there twice, doses do not go together, or a
            world has too few monolingual facts.
    """
    given = {"subjects": subjects, "relations": relations, "values": values}
    knobs = {name: value for name, value in given.items() if value is not None}
    base = make_world(
        **{**WORLDS[scale], **knobs},
        informativeness=base_informativeness,
        template_cues=base_template_cues,
        parallel_share=base_parallel_share,
        seed=seed,
    ).settings
    settings = _changed(SETTINGS[scale], seeds, steps)
    model = settings.lab.model
    shares = (
        PARALLEL_SHARES[scale]
        if parallel_shares is None
        else listed_numbers(parallel_shares, "parallel_shares")
    )
    contrasts = tuple(
        ContrastSettings(
            weight=weight,
            temperature=TEMPERATURE,
            num_pairs=NUM_PAIRS[scale],
            layer=middle_layer(model.num_layers),
        )
        for weight in listed_numbers(contrast_weights, "contrast_weights")
    )
    kinds = SPELLINGS[scale] if spellings is None else spellings
    doses = Doses(
        informativeness=listed_numbers(informativeness, "informativeness"),
        extractability=listed_numbers(extractability, "extractability"),
        parallel_shares=shares,
        cue_flips=listed_numbers(cue_flips, "cue_flips"),
        tag_shares=listed_numbers(tag_shares, "tag_shares"),
        contrasts=contrasts,
        spellings=tuple(str(kinds).split(",")) if kinds else (),
        spelled_informativeness=SPELLED_INFORMATIVENESS[scale]
        if spelled_informativeness is None
        else listed_numbers(spelled_informativeness, "spelled_informativeness"),
    )
    return intervention_plan(base, doses=doses, settings=settings, scale=scale, seed=seed)


def _changed(
    settings: InterventionSettings, seeds: int | None, steps: int | None
) -> InterventionSettings:
    lab = settings.lab
    if steps is not None:
        whole_number(steps, "steps", smallest=1)
        kept = [step for step in lab.checkpoints if step < steps]
        lab = LabSettings(**{**vars(lab), "steps": steps, "checkpoints": (*kept, steps)})
    facts = {**vars(settings), "lab": lab}
    if seeds is not None:
        facts["num_seeds"] = whole_number(seeds, "seeds", smallest=1)
    return InterventionSettings(**facts)
