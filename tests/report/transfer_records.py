"""A record as a data transfer study writes it, made anew for each test that changes it."""

SIZES = (30_000, 100_000, 300_000, 1_000_000)
LEVELS = {"nl": 2.6, "el": 1.7}  # nats per byte from scratch on 30 kB
PAIRS = [("nl", "en"), ("nl", "code"), ("el", "en"), ("el", "code")]


def loss_of(target, num_bytes):
    """The curve from scratch: a power of the size."""
    return LEVELS[target] * (num_bytes / SIZES[0]) ** -0.12


def make_record():
    """A complete record: two targets, a language and a control, every kind of cell."""
    effective = {
        ("nl", "en"): (45_000, 150_000, 420_000, 1_000_000, 1_000_000),
        ("nl", "code"): (30_000, 38_000, 108_000, 305_000, 990_000),
        ("el", "en"): (30_000, 33_000, 95_000, 310_000, 1_000_000),
        ("el", "code"): (30_000, 30_000, 80_000, 200_000, 700_000),
    }
    transfers = [
        _transfer(pair, size, end)
        for pair, ends in effective.items()
        for size, end in zip((0, *SIZES), ends, strict=True)
    ]
    tuned = [
        _loss(cell["target"], cell["source"], cell["data_finetuned_bytes"], seed, nats * shift)
        for cell in transfers
        for nats in [_nats(cell)]
        for seed, shift in (("0", 0.995), ("1", 1.005))
    ]
    scratch = [
        _loss(target, "scratch", size, str(seed), loss_of(target, size) * shift)
        for target in LEVELS
        for size in SIZES
        for seed, shift in enumerate((0.99, 1.0, 1.01))
    ]
    return {
        "format": "lingraft-transfer-1",
        "question": "What is English worth in bytes of Dutch and Greek?",
        "scale": "tiny",
        "rule": "log-log",
        "model": {"size": "1m", "num_parameters": 1_048_576},
        "names": {"nl": "Dutch", "el": "Greek", "en": "English"},
        "targets": ["nl", "el"],
        "sources": ["en", "code"],
        "sizes": list(SIZES),
        "losses": scratch + tuned,
        "transfers": transfers,
        "repairs": ["el: the loss from scratch does not fall with the size"],
        "texts": [
            _text("en", "source", removed=(12, 3_400), marks=5),
            _text("nl", "target"),
        ],
        "units": {
            "nl": {
                "bytes_per_character": 1.0,
                "byte_premium": {"value": 1.25, "interval": [1.2, 1.3], "text": "help pages"},
            },
            "el": {"bytes_per_character": 1.75, "byte_premium": None},
        },
        "similarity": [
            {
                "target": target,
                "source": source,
                "script_overlap": overlap,
                "divergence": None,
                "reasons": {"divergence": "no text", "syntactic": "no lang2vec"},
            }
            for (target, source), overlap in zip(PAIRS, (0.97, 0.8, 0.21, 0.2), strict=True)
        ],
        "contamination": [
            _contamination("nl", "en", "0.5 % of 900 lines", "0.5 %", 0.005, 0.001),
            _contamination("el", "en", "< 0.3 % of 900 lines", "< 0.3 %", 0.0004, 0.001),
            _contamination("el", "code", "the classifier has no class for it", "", None, None),
        ],
        "associations": [
            _association("script_overlap", 30_000, 0.8, 0.034, 4),
            _association("script_overlap", 100_000, None, None, 3, "3 cells of 2 targets"),
            _association("script_overlap", None, 0.41, 0.0021, 16),
        ],
        "tested_sources": ["en"],
        "untested": {"syntactic": "unknown in 4 of 4 cells (4: no lang2vec)"},
        "variance": {"target": 0.62, "source": None, "num_cells": 4, "reason": "one source"},
        "commutativity": [
            {"one": "nl", "other": "el", "there": -4_000, "back": 12_000, "fold": None}
        ],
        "prediction": {"rmse": 0.31, "baseline_rmse": 0.28, "wins": False},
        "prediction_from_all": {"reason": "too few cells"},
        "failures": [{"name": "flat curve", "evidence": "el at 1 MB", "cause": "too few steps"}],
        "cost": {"processed_bytes": 48_000_000, "naive_bytes": 96_000_000},
    }


def cell_of(record, target, source, size):
    return next(
        cell
        for cell in record["transfers"]
        if (cell["target"], cell["source"], cell["data_finetuned_bytes"]) == (target, source, size)
    )


def _transfer(pair, size, end):
    target, source = pair
    censored = {(0, 30_000): "at_most", (1_000_000, 1_000_000): "at_least"}.get((size, end))
    worth = end - size
    low, high = worth - 0.2 * end, worth + 0.3 * end
    interval = [None if censored == "at_most" else low, None if end > 900_000 else high]
    if pair == ("el", "code") and size == 30_000:
        interval = None
    return {
        "target": target,
        "source": source,
        "data_finetuned_bytes": size,
        "data_effective_bytes": float(end),
        "data_transferred_bytes": float(worth),
        "censored": censored,
        "interval": interval,
        "rule": "log-log",
        "fraction": max(0.0, worth / end),
        "multiplier": end / size if size else None,
        "reason": "" if interval else "no kind of run has several seeds",
        "signature": {"version": 1, "seed": 7, "num_draws": 400},
    }


def _nats(cell):
    beyond = {None: 1.0, "at_least": 0.93, "at_most": 1.08}[cell["censored"]]
    return beyond * loss_of(cell["target"], cell["data_effective_bytes"])


def _loss(target, init, size, seed, nats):
    return {
        "target": target,
        "init": init,
        "dataset_bytes": size,
        "seed": seed,
        "nats_per_byte": nats,
        "valid_nats_per_byte": None if seed == "1" else nats * 1.01,
        "processed_bytes": 10 * size,
        "learning_rate": 0.001,
        "stopped": "patience" if size else None,
        "num_bytes": size,
        "num_characters": size // 2,
        "num_documents": size // 100,
        "trunk": "",
    }


def _text(name, side, *, removed=(0, 0), marks=0):
    return {
        "name": name,
        "side": side,
        "train_bytes": 40_000,
        "train_characters": 39_000,
        "train_documents": 500,
        "removed": {
            "train": {"rows": 0, "bytes": 0},
            "test": {"rows": removed[0], "bytes": removed[1]},
        },
        "repairs": {"train": {"byte_order_marks_removed": marks}},
    }


def _contamination(target, source, described, amount, share, limit):
    return {
        "target": target,
        "source": source,
        "described": described,
        "amount": amount,
        "share": share,
        "limit": limit,
        "identifier": "GlotLID",
    }


def _association(covariate, size, rho, p, num_cells, reason=""):
    return {
        "covariate": covariate,
        "data_finetuned_bytes": size,
        "rho": rho,
        "p": p,
        "num_cells": num_cells,
        "reason": reason,
    }
