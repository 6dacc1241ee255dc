"""A record as an adaptation to Greek writes it, made anew for each test that changes it."""

import math

SENTENCES = [  # cut into tokens at the bars
    "Κάν|τε| κλικ| στο| εικονίδιο| για| να| ανοίξετε| το| αρχείο|.",
    "Όλ|οι| οι| άν|θρωπ|οι| γεν|νι|ού|νται| ελεύθερ|οι| και| ίσ|οι| στην| αξι|ο|πρέ|πεια|.",
]
TOKENS = ["αρχείο", " κείμενο", " πίνακα", " κελί", "γραμμή", " σελίδα", " εικόνα", " και", "ση"]
SOURCES = [" file", " text", " table", " cell", " line", " page", " image", " and", "tion"]
ARMS = {
    "source": ("source model, its own vocabulary", 2.184, None, 1.121),
    "random": ("new vocabulary, random rows", 1.467, 1.231, 1.143),
    "mean": ("new vocabulary, mean row", 1.402, 1.214, 1.098),
    "trans_tokenize": ("new vocabulary, carried over by alignment", 1.183, 1.051, 0.902),
}


def make_score(value, *, num_documents=100, num_bytes=18240, spread=0.03, reason="", **signature):
    """A score in bits per byte as `measurement.Score.to_record` writes it."""
    nats = 0.0 if value is None else value * num_bytes * math.log(2)
    return {
        "name": "bits_per_byte",
        "value": value,
        "unit": "bits/byte",
        "numerator": nats,
        "denominator": float(num_bytes),
        "scale": 1 / math.log(2),
        "interval": None if value is None else [value - spread, value + spread],
        "reason": reason,
        "statistics": {"num_documents": num_documents, "num_tokens": 1988},
        "signature": {
            "data": "9f0c1b52aa17" if num_documents == 100 else "77aa01d9c3be",
            "method": "bits_per_byte",
            "version": 1,
            "seed": 0,
            **signature,
        },
        "items": [[nats / 2, num_bytes / 2]] * 2,
    }


def make_record():
    """A complete record: four arms, three floors, a claim that holds, one that does not."""
    return {
        "format": "lingraft-adaptation-1",
        "question": "What does it take to make SmolLM2 work in Greek?",
        "source_model": "smollm2-135m",
        "source_lang": _language("eng_Latn", "English", "en"),
        "target_lang": _language("ell_Grek", "Greek", "el"),
        "budget_bytes": 50000,
        "budget_seconds": 34.2,
        "timed": False,
        "table": [_arm(arm, *values) for arm, values in ARMS.items()],
        "floors": {
            "a_bytes": 49900,
            "b_bytes": 5590000,
            "rows": [
                _floor("uniform over the new vocabulary", "uniform", 1.413, 1.413),
                _floor("unigram counts", "unigram", 1.186, 1.049),
                _floor("Kneser-Ney trigram counts", "trigram", 1.064, 0.871),
            ],
        },
        "verdicts": [
            _verdict(
                "The graft beats counting the bytes it was trained on (a)",
                True,
                "0.902 against 1.064 bits per byte",
            ),
            _verdict(
                "The graft beats counting all target text that any stage saw (b)",
                False,
                "0.902 against 0.871 bits per byte",
            ),
            _verdict("Carried rows beat the mean row at equal bytes", True, "0.902 against 1.098"),
            _verdict(
                "English is kept once the original rows are back",
                None,
                "the intervals overlap: 0.94 (0.90–0.98) against 0.91 (0.87–0.95)",
            ),
        ],
        "curves": [_curve(arm, values) for arm, values in ARMS.items()],
        "vocabulary": {
            "source_size": 49152,
            "target_size": 8000,
            "rule": "8000 ids, as asked",
            "source_tokens_per_byte": 0.46,
            "target_tokens_per_byte": 0.109,
            "source_tokens_per_word": 5.71,
            "target_tokens_per_word": 1.36,
            "sentences": [_sentence(cut) for cut in SENTENCES],
        },
        "rows": [_row(number) for number in range(30)],
        "coverage": {
            "by_rule": {"table": 7434, "copied": 212, "pieces": 333, "mean": 21},
            "by_depth": {"0": 7646, "10": 4, "1": 255, "2": 95},
            "num_rows": 8000,
            "num_duplicates": 449,
            "num_unknown": 21,
        },
        "stages": [
            {"name": "tokenizer", "seconds": 2.1, "num_bytes": 5590000},
            {"name": "align", "seconds": 10.3, "num_bytes": 5590000},
            {"name": "graft", "seconds": 3.4, "num_bytes": 0},
            {"name": "train, four arms", "seconds": 341.0, "num_bytes": 199600},
            {"name": "measure", "seconds": 96.5, "num_bytes": 18240},
        ],
        "forgetting": {
            "text": "general English: 250 verses and 60 articles",
            "before": make_score(0.911, spread=0.04),
            "after_new_vocabulary": make_score(1.874, spread=0.06),
            "after_original_rows": make_score(0.944, spread=0.04),
        },
        "continuations": [
            {
                "prompt": "Για να εισαγάγετε έναν πίνακα",
                "reference": " στο έγγραφό σας, επιλέξτε Πίνακας - Εισαγωγή.",
                "source_model": " το τον τον τον τον τον τον τον",
                "adapted": " σε ένα έγγραφο, επιλέξτε το μενού Εισαγωγή.",
            },
            {
                "prompt": "Το αρχείο αποθηκεύεται",
                "reference": " αυτόματα κάθε δέκα λεπτά.",
                "source_model": " και το α α α α α α α",
                "adapted": " στο έγγραφο του αρχείου.",
            },
            {
                "prompt": "Όλοι οι άνθρωποι",
                "reference": " γεννιούνται ελεύθεροι και ίσοι.",
                "source_model": " του του του του του",
                "adapted": " που έχουν οριστεί στο κελί.",
            },
        ],
        "corpus": {
            "train_documents": 12874,
            "train_bytes": 2310042,
            "num_pairs": 12874,
            "num_test": 100,
            "num_valid": 100,
            "removed_documents": 61,
            "removed_pairs": 58,
            "rejected": {"empty text": 3, "longer than 4 kB": 1},
            "language_check": {"share_expected": 0.974, "known": True, "num_checked": 500},
            "orthography": {"num_letters": 1204331, "share_expected_script": 0.913},
        },
        "inputs": [
            {"name": "smollm2-135m", "licence": "Apache-2.0", "origin": "HuggingFaceTB"},
            {"name": "LibreOffice help", "licence": "MPL-2.0", "origin": "LibreOffice 7.4"},
        ],
        "warnings": ["The budget of 50 kB is 2 % of the text at hand."],
        "lineage": [_artifact("tokenizer"), _artifact("align"), _artifact("graft")],
        "environment": {
            "lingraft": "0.1.0",
            "torch": "2.13.0",
            "transformers": "5.23.0",
            "machine": "2 threads, cpu, bfloat16",
        },
        "model_path": "/home/someone/smollm2-greek",
    }


def _language(code, name, tag):
    return {"code": code, "name": name, "tag": tag, "right_to_left": False}


def _arm(arm, label, before, biased, after):
    return {
        "arm": arm,
        "label": label,
        "start_token": "<|im_start|>",
        "learning_rate": 0.0003,
        "before": make_score(before, start="<|im_start|>", window=512, bias="none"),
        "before_biased": biased and make_score(biased, bias="unigram"),
        "before_calibrated": biased and make_score(biased + 0.02, bias="none"),
        "after_bytes": make_score(after, start="<|im_start|>", window=512, bias="none"),
        "after_seconds": make_score(after - 0.011, num_documents=30, num_bytes=5711),
        "num_steps": 25,
        "preparation_seconds": 13.7 if arm == "trans_tokenize" else 0.0,
        "training_seconds": 88.1,
        "trained_bytes": 49900,
    }


def _floor(label, key, a, b):
    return {"label": label, "key": key, "a": make_score(a), "b": make_score(b)}


def _verdict(claim, holds, detail):
    return {"claim": claim, "holds": holds, "detail": detail}


def _curve(arm, values):
    label, start, _, end = values
    points = [
        {
            "num_bytes": 5000 * step,
            "num_tokens": 545 * step,
            "seconds": (8.8 if arm == "source" else 3.5) * step,
            "value": end + (start - end) * math.exp(-step / 2),
        }
        for step in range(11)
    ]
    return {"arm": arm, "label": label, "num_rows": 30, "points": points}


def _sentence(cut):
    text = cut.replace("|", "")
    return {"text": text, "source_tokens": list(text), "target_tokens": cut.split("|")}


def _row(number):
    place = number % len(TOKENS)
    weights = [0.52, 0.31, 0.09] if number % 4 else [1.0]
    return {
        "token": TOKENS[place],
        "id": 812 + number,
        "rule": "table" if number % 4 else "copied",
        "depth": number % 3,
        "support": 812.4 / (number + 1),
        "entropy_nats": 0.8 if number % 4 else 0.0,
        "norm": 3.1,
        "sources": [
            {"token": SOURCES[(place + shift) % len(SOURCES)], "weight": weight}
            for shift, weight in enumerate(weights)
        ],
    }


def _artifact(name):
    return {
        "name": name,
        "fingerprint": "3f9a0c77d1e2b845",
        "function": f"lingraft.pipelines.adaptation:{name}",
        "timed": False,
    }
