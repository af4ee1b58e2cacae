# Every target stands on one environment step, which makes .venv or finds it ready.

PYTHON := .venv/bin/python
ENVIRONMENT := sh scripts/environment.sh
# Options for pytest, such as PYTEST_ARGS="-x tests/io".
PYTEST_ARGS ?=
# Options for make bench, such as BENCH_ARGS="--quick" or BENCH_ARGS="--page".
BENCH_ARGS ?=
# How long make check feeds each reader of files with what a fuzzer thinks up.
FUZZ_SECONDS ?= 10
# How often make check kills a run of dials.truncfix.
KILLS ?= 50
# Commands that our commands start have to be those of the same environment.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help environment demo test test-newest test-readme check bench neighbours docs \
	tutorials lint clean

help:
	@echo "make demo         simulate a truncated sweep, repair it, compare with the truth"
	@echo "make test         run the tests"
	@echo "make test-newest  run the tests on the newest DIALS, in a separate Debian root"
	@echo "make test-readme  follow README.rst to the letter, on a bare Debian root"
	@echo "make check        run lint, all tests, the slow ones too, the fuzzer, test-readme"
	@echo "make bench        time the program against its peers"
	@echo "make neighbours   try commands of DIALS, oldest and newest, on what is written (long)"
	@echo "make docs         build the documentation: docs/_build/html/index.html"
	@echo "make tutorials    run the commands of the tutorials; renew their output and pictures"
	@echo "make lint         ruff check, ruff format --check, mypy"
	@echo "make environment  only make the environment, .venv"
	@echo "make clean        remove what the other targets made, except .venv and .newest"

environment:
	@$(ENVIRONMENT)

demo: environment
	$(PYTHON) benchmarks/demo.py --output demo

test: environment
	$(PYTHON) -m pytest -m "not slow" $(PYTEST_ARGS)

test-newest:
	@sh scripts/test_newest.sh -m "not slow" $(PYTEST_ARGS)

test-readme:
	@sh scripts/test_readme.sh

check: lint
	@$(ENVIRONMENT) cluster fuzz packaging
	$(PYTHON) -m pytest $(PYTEST_ARGS)
	$(PYTHON) tests/fuzzing/fuzz_readers.py --seconds $(FUZZ_SECONDS)
	$(PYTHON) tests/faults/inject_faults.py --kills $(KILLS)
	@sh scripts/test_readme.sh

bench: environment
	$(PYTHON) benchmarks/benchmark.py $(BENCH_ARGS)

# The page of the documentation is made from the records of both ends.
neighbours:
	@$(ENVIRONMENT) neighbours
	$(PYTHON) benchmarks/neighbours.py --json docs/measured
	@sh scripts/test_newest.sh -- .venv/bin/python benchmarks/neighbours.py \
	    --json docs/measured
	cp .newest/root/srv/main/docs/measured/dials-*.json docs/measured
	$(PYTHON) benchmarks/neighbours_page.py

docs:
	@$(ENVIRONMENT) docs
	$(PYTHON) -m sphinx -W --keep-going -b html docs docs/_build/html

tutorials: environment
	$(PYTHON) docs/run_tutorials.py

lint:
	@$(ENVIRONMENT) lint
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

clean:
	rm -rf build dist demo fuzz-failures docs/_build .hypothesis .pytest_cache .mypy_cache .ruff_cache
	find . -path ./.venv -prune -o -path ./.newest -prune -o \
	    -name __pycache__ -type d -exec rm -rf {} +
