# Everything on a fresh machine with Python 3.10 to 3.13:
#   make demo   the main job on embedded parts
#   make test   the tests
#   make check  what a change must pass besides: style and types

PYTHON ?= python3
VENV ?= .venv
OUT ?= demo-out
FESTIVAL ?= festival-out

.PHONY: demo test check bench bench-stream festival zones clean

demo: $(VENV)/.demo
	$(VENV)/bin/geomon demo --out $(OUT)

test: $(VENV)/.dev
	$(VENV)/bin/python -m pytest --numprocesses auto --dist loadfile

check: $(VENV)/.dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

bench: $(VENV)/.dev
	$(VENV)/bin/python tests/benchmarks/bench_replay.py

bench-stream: $(VENV)/.dev
	$(VENV)/bin/python tests/benchmarks/bench_stream.py $(BENCH)

festival: $(VENV)/.dev
	$(VENV)/bin/python tests/benchmarks/bench_festival.py $(FESTIVAL)

zones: $(VENV)/.dev
	$(VENV)/bin/geomon zones build
	$(VENV)/bin/geomon zones check

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml
	$(VENV)/bin/python -m pip install --quiet --editable '.[demo]'
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	$(VENV)/bin/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) demo-out $(FESTIVAL) .mypy_cache .pytest_cache .ruff_cache .hypothesis
