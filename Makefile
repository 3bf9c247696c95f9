# Two commands on a fresh machine with Python and make: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Processes that share the tests, a file at a time; one more than cores, because some tests mostly wait.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
PACKAGES := unetplus_edge runtime/unetplus_runtime export/unetplus_export benchmarks/unetplus_bench

.PHONY: demo test coverage lint format documents endurance check-wheels clean

demo: $(VENV)/.edge-installed
	$(BIN)/unetplus-runtime demo --out demo

test: $(VENV)/.all-installed lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

# The same tests, and which lines none of them runs; not part of `test`, since it takes a third longer.
coverage: $(VENV)/.all-installed
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n $(WORKERS) --dist loadfile
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(VENV)/.all-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/lint-imports

format: $(VENV)/.all-installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Writes the numbers of the committed result files into README.md and docs/.
documents: $(VENV)/.all-installed
	$(BIN)/python -m unetplus_bench.documents

# Everything that can go wrong with the daemon, done to real processes; takes most of an hour.
ENDURANCE ?= benchmarks/results/endurance/epyc-2-cores.json
endurance: $(VENV)/.all-installed
	$(BIN)/python -m unetplus_bench.endurance --out $(ENDURANCE)

# What a Jetson installs must come as wheels: JetPack 6 has Python 3.10, JetPack 7 has 3.12.
check-wheels: $(VENV)/.edge-installed
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir build/wheels .
	for version in 3.10 3.12; do \
	  $(BIN)/python -m pip install --quiet --dry-run --ignore-installed --target build/none --find-links build/wheels \
	    --only-binary=:all: --implementation cp --python-version $$version \
	    --platform manylinux_2_35_aarch64 --platform manylinux_2_34_aarch64 --platform manylinux_2_31_aarch64 \
	    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux_2_26_aarch64 \
	    --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
	    unetplus-edge && echo "aarch64, Python $$version: wheels alone" || exit 1; \
	done

clean:
	rm -rf $(VENV) build demo .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.edge-installed: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable '.[fast]'
	touch $@

$(VENV)/.all-installed: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable '.[fast,train,export,trt-rtx,bench,serve,formats,cluster,test,dev]'
	touch $@ $(VENV)/.edge-installed
