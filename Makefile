# Everything on a fresh machine with Python 3.10 to 3.13:
#   make demo   the main job on embedded parts
#   make test   the tests
#   make check  what a change must pass besides: style and types

PYTHON ?= python3
VENV ?= .venv
OUT ?= demo-out
FESTIVAL ?= festival-out
FUZZ = jt808 gt06 r16h
FUZZ_VENV ?= .venv-fuzz
FUZZ_S ?= 60
FUZZ_OUT ?= fuzz-out

.PHONY: demo test check bench bench-detection bench-gateway bench-stream faults festival fuzz $(FUZZ:%=fuzz-%) zones clean

demo: $(VENV)/.demo
	$(VENV)/bin/geomon demo --out $(OUT)

test: $(VENV)/.dev
	$(VENV)/bin/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

check: $(VENV)/.dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

bench: $(VENV)/.dev
	$(VENV)/bin/python tests/benchmarks/bench_replay.py

bench-detection: $(VENV)/.dev
	$(VENV)/bin/geomon bench detection $(BENCH)

bench-gateway: $(VENV)/.dev
	$(VENV)/bin/python tests/benchmarks/bench_gateway.py $(BENCH)

bench-stream: $(VENV)/.dev
	$(VENV)/bin/python tests/benchmarks/bench_stream.py $(BENCH)

# Not in CI: fifty kills of workers, some of brokers and Redis, a quarter of an hour.
faults: $(VENV)/.dev
	$(VENV)/bin/python tests/faults/long_run.py $(FAULTS)

festival: $(VENV)/.dev
	$(VENV)/bin/python tests/benchmarks/bench_festival.py $(FESTIVAL)

# Not in CI: each TCP protocol for FUZZ_S seconds, by atheris, which has wheels for Python 3.11 on.
# `make -j3 fuzz FUZZ_S=1800` runs the three at once, each with its output in a file.
fuzz: $(FUZZ:%=fuzz-%)

$(FUZZ:%=fuzz-%): fuzz-%: $(FUZZ_VENV)/.fuzz
	mkdir -p $(FUZZ_OUT)/$*
	$(FUZZ_VENV)/bin/python tests/fuzz/fuzz_tcp.py $* -max_total_time=$(FUZZ_S) -max_len=4096 \
	    -timeout=10 -rss_limit_mb=512 -artifact_prefix=$(FUZZ_OUT)/$*- -print_final_stats=1 \
	    $(FUZZ_OUT)/$* >$(FUZZ_OUT)/$*.log 2>&1 || { tail -n 40 $(FUZZ_OUT)/$*.log; exit 1; }
	grep -E '^(Done|stat::)' $(FUZZ_OUT)/$*.log

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

$(FUZZ_VENV)/.fuzz:
	$(PYTHON) -m venv $(FUZZ_VENV)
	$(FUZZ_VENV)/bin/python -m pip install --quiet 'atheris>=2.3,<4' 'msgspec>=0.19,<0.23'
	touch $@

clean:
	rm -rf $(VENV) $(FUZZ_VENV) $(FUZZ_OUT) demo-out $(FESTIVAL) .mypy_cache .pytest_cache .ruff_cache .hypothesis
