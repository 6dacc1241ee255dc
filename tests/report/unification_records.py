"""A record as a study of unification writes it: a grid with known answers, pictured members."""

import math

AXES = ("informativeness", "extractability", "parallel_share")
GRID = [
    {"informativeness": rho, "extractability": cues, "parallel_share": share}
    for share in (0.0, 0.1)
    for rho in (0.0, 0.5, 1.0)
    for cues in (0.0, 0.8, 1.0)
]
STEPS = (0, 100, 200, 400, 800)
NUM_LAYERS = 3
WORST = {"informativeness": 1.0, "extractability": 1.0, "parallel_share": 0.0}


def ratio_of(axes):
    """Transfer fails in one cell alone: full informativeness and cues, nothing parallel."""
    if axes["parallel_share"] or axes["extractability"] < 1:
        return 0.96 + 0.01 * axes["extractability"]
    return {0.0: 0.95, 0.5: 0.7, 1.0: 0.125}[axes["informativeness"]]


def make_record(*, grid=GRID, steps=STEPS, num_layers=NUM_LAYERS, num_facts=4, num_seeds=3):
    """A complete record; the cells without cues, and those with all, are pictured."""
    members = [
        make_member(
            axes,
            seed,
            steps=steps,
            num_layers=num_layers,
            num_facts=num_facts,
            is_pictured=seed == 0 and axes["extractability"] != 0.8,
        )
        for axes in grid
        for seed in range(num_seeds)
    ]
    return {
        "format": "lingraft-unification-2",
        "scale": "tiny",
        "question": "Why do facts cross languages?",
        "model": {"num_layers": num_layers - 1, "width": 32},
        "num_parameters": 33_536,
        "steps": steps[-1],
        "middle_layer": 1,
        "last_layer": num_layers - 1,
        "axes": list(AXES),
        "members": members,
        "cells": [make_cell(axes, num_seeds) for axes in grid],
        "acceptance": [
            make_claim("(i)", -0.8, [-0.9, -0.6], holds=True),
            make_claim("(ii)", -0.1, [-0.4, 0.3], holds=False),
            make_claim("(iii)", None, None, holds=None, reason="y is constant"),
            make_claim("(iv)", 0.77, [0.55, 0.91], holds=True),
        ],
        "phases": [make_phases(axes) for axes in grid],
        "subgrid": [
            make_cell({"value_overlap": value, "subject_overlap": subject}, num_seeds, ratio=0.5)
            for value in (0.0, 1.0)
            for subject in (0.0, 1.0)
        ],
        "subgrid_acceptance": [make_claim("(iii) held", 0.31, [-0.2, 0.7], holds=False)],
    }


def cell_at(record, axes):
    return next(cell for cell in record["cells"] if cell["axes"] == axes)


def make_cell(axes, num_seeds=3, ratio=None):
    ratio = ratio_of(axes) if ratio is None else ratio
    known = {
        "same_accuracy": 0.98,
        "cross_accuracy": 0.98 * ratio,
        "transfer_ratio": ratio,
        "bits_per_fact": 5 * ratio,
        "num_asked": 200,
        "estimated_bits": 1000 * ratio,
        "effective_exposures": 40 * ratio,
        "same_mrr": 0.99,
        "cross_mrr": 0.99 * ratio,
        "floor_same_accuracy": 0.05,
        "floor_cross_accuracy": 0.01,
        "floor_same_mrr": 0.15,
        "floor_cross_mrr": 0.06,
        "chance_accuracy": 0.025,
        "chance_mrr": 0.107,
        "subject_unification": 0.4,
        "subject_language_probe": 0.75,
        "patched_same_fact_nats": -0.1,
        "patched_stranger_nats": -2.0,
        "unification": 0.2 + 0.7 * ratio,
        "unification_early": 0.1 + 0.7 * ratio,
        "last_layer_unification": 0.3 + 0.6 * ratio,
        "onset_step": 150.0,
        "language_probe": 1 - 0.4 * ratio,
        "value_bits": axes.get("informativeness", 0.0),
        "subject_bits": 1.0,
    }
    values = {name: make_value(value, num_seeds) for name, value in known.items()}
    return {
        "axes": dict(axes),
        "num_seeds": num_seeds,
        "values": values | {"wrong_half_rate": make_value(None, reason="nothing is wrong")},
    }


def make_value(mean, num_seeds=3, reason=""):
    edges = (0.98 * mean, 1.01 * mean) if mean is not None and num_seeds > 1 else (None, None)
    return {"mean": mean, "low": edges[0], "high": edges[1], "reason": reason}


def make_claim(name, rho, interval, *, holds, reason=""):
    found = {"rho": rho, "interval": interval, "p": rho and 0.0123, "num_cells": 17}
    return {
        "name": name,
        "claim": f"claim {name}",
        "wanted": f"wanted of {name}",
        "found": found | {"reason": reason},
        "over_members": {"rho": rho and rho / 2, "interval": interval, "num_members": 51},
        "holds": holds,
    }


def make_phases(axes):
    def at(value, interval=None, reason=""):
        return {"value": value, "interval": interval, "reason": reason}

    fails = ratio_of(axes) < 0.5
    return {
        "axes": dict(axes),
        "statistics_end": at(50.0, [40.0, 60.0]),
        "plateau_start": at(60.0),
        "plateau_end": at(90.0),
        "recall_onset": at(150.0, [140.0, 160.0]),
        "full_recall": at(400.0),
        "unification_change": at(-0.31 if fails else 0.25, [-0.4, -0.2] if fails else [0.2, 0.3]),
        "repair": at(0.24, [0.1, 0.4]) if fails else at(None, reason="recall is never full"),
        "outcome": "separation" if fails else "unification",
        "num_repaired": 2 if fails else None,
        "num_seeds": 3,
    }


def make_member(axes, seed, *, steps, num_layers, num_facts, is_pictured):
    ratio = ratio_of(axes) + 0.001 * seed
    return {
        "axes": dict(axes),
        "world": {},
        "seed": seed,
        "information": {
            "extractability": axes["extractability"],
            "value_bits": axes["informativeness"],
            "value_plug_in_bits": axes["informativeness"] + 0.09,
            "subject_bits": 1.0,
            "subject_plug_in_bits": 0.875,
            "reason": "",
        },
        "curve": [make_point(step, steps[-1], ratio, num_layers) for step in steps],
        "pictures": [make_picture(step, num_layers, num_facts, ratio) for step in steps]
        if is_pictured
        else [],
        "recall": {"transfer_ratio": {"value": ratio, "interval": None, "reason": ""}},
        "effective_exposures": {"num_exposures": 40.0, "censored": None, "reason": ""},
        "patching": [
            {"same_fact_nats": make_gain(-0.1 * layer), "stranger_nats": make_gain(-2.0 * layer)}
            for layer in range(num_layers)
        ],
    }


def make_gain(nats):
    return {"value": nats, "interval": [nats - 0.5, nats + 0.5], "reason": ""}


def make_point(step, last, ratio, num_layers):
    done = step / last
    layers = [{"unification": 1 - (1 - ratio) * done * layer / 2} for layer in range(num_layers)]
    return {
        "step": step,
        "same_accuracy": min(1.0, 0.02 + 2.5 * done),
        "cross_accuracy": ratio * min(1.0, 0.02 + 2.5 * done),
        "layers": {"by language": layers, "together": layers},
        "language_probe": [None, *[1 - 0.4 * ratio] * (num_layers - 1)],
        "loss_nats": 3 - 2 * done,
    }


def make_picture(step, num_layers, num_facts, ratio):
    layers = []
    for layer in range(num_layers):
        apart = (1 - ratio) * layer
        a = [[math.cos(fact + layer), math.sin(fact) + apart] for fact in range(num_facts)]
        b = [[math.cos(fact + layer), math.sin(fact) - apart] for fact in range(num_facts)]
        states = [point for pair in zip(a, b, strict=True) for point in pair]
        board = [
            [round((x * u + y * v) / (math.hypot(x, y) * math.hypot(u, v)), 2) for u, v in states]
            for x, y in states
        ]
        shares = [0.75, 0.25] if step else None
        flat = {"a": a, "b": b, "shares": shares}
        layers.append({"checkerboard": board, "components": flat})
    return {"step": step, "layers": layers}
