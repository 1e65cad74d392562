# On a machine with Python 3.11+ and make, each target installs what it needs into .venv by itself.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
PEER_PYTHON ?= python3.11
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# These measure how soon a car stands, so they run alone; of all others two run at a time.
TIMED_TESTS := tests/faults tests/parts/safety/test_watchdog.py tests/browser/test_driving.py tests/browser/test_losses.py
SOURCES := dingocar parts templates tests benchmarks setup.py

.PHONY: help venv demo test check types faults fuzz pi ros-test sb3 bench leaderboard clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

venv: .venv/dev  ## .venv with everything for developing

# One stamp per set of extras, so that the demo does not wait for the linters. Nothing is compiled ahead: Python
# compiles what is imported, and most never is.
.venv/%: setup.py pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PIP) install --quiet --no-compile --editable '.[$*]'
	touch $@

# The web page is tested in a real browser.
.venv/browser: .venv/dev
	tests/install_chromium.sh $(BIN)/python
	touch $@

demo: .venv/train  ## record, train, drive and measure: see demo/report.html
	$(BIN)/dingocar demo --out demo

# By files, as what the tests of a file share takes long to make; in their order, as the last ones are short.
test: .venv/dev .venv/browser  ## all tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(TIMED_TESTS:%=--ignore=%)
	$(BIN)/python -m pytest $(TIMED_TESTS)

check: .venv/dev types  ## style, types, the house rules: before every commit
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/python -m pytest tests/test_house.py tests/test_doctests.py

types: .venv/dev  ## mypy --strict over what is shipped
	rm -rf build/types
	$(BIN)/python setup.py --quiet build_py --build-lib build/types
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml -p dingocar \
		| sed -E 's,^dingocar/(parts|templates)/,\1/,'

faults: .venv/dev  ## inject every fault into a running car: how long until it stands
	$(BIN)/python -m tests.faults --trials 20 --json build/faults.json

fuzz: .venv/dev  ## junk, floods and mutations at the web server: no crash, no throttle, memory flat
	$(BIN)/python -m tests.fuzz.flood 10000
	$(BIN)/python -m tests.fuzz.fuzz_protocol -max_total_time=60

pi: .venv/dev  ## does every package a Raspberry Pi needs have a wheel, and does it drive without tensorflow
	$(BIN)/python benchmarks/pi_wheels.py
	$(BIN)/python benchmarks/pi_drive.py

ros-test: .venv/dev  ## install ROS 1 (Debian 12, its Python 3.11) and test the node on a real roscore
	tests/install_ros.sh
	$(BIN)/python -m pytest -rs tests/translate/test_ros.py

# PyTorch is large, so that Stable-Baselines3 has a venv of its own. Its default wheel brings CUDA along.
.venv-sb3/ready: setup.py
	$(PYTHON) -m venv .venv-sb3
	.venv-sb3/bin/python -m pip --disable-pip-version-check install --quiet --editable '.[sb3]' pytest
	touch $@

sb3: .venv-sb3/ready  ## PPO of Stable-Baselines3 learns on the Gymnasium environment
	.venv-sb3/bin/python -m pytest tests/sim/test_sb3.py

# The peer needs Python 3.11 and packages that conflict with ours, so it has a venv of its own.
.venv-peer/ready:
	$(PEER_PYTHON) -m venv .venv-peer
	.venv-peer/bin/python -m pip --disable-pip-version-check install --quiet 'donkeycar[pc]==5.3.0'
	touch $@

bench: .venv/dev .venv-peer/ready  ## our speed beside Donkeycar 5.3.0's, measured in one call
	$(BIN)/python benchmarks/run.py --peer .venv-peer/bin/python

# What needs recorded tubs says so and is left out: DATA='--data sim=DIR --data real=DIR' gives them. In an
# environment with gym-duckietown also: make leaderboard TRIALS=transfer_duckietown
TRIALS ?= transfer transfer_car transfer_real
JOBS ?= 2
leaderboard: .venv/train  ## the trial of adapting to another domain: many hours; may be stopped, and goes on
	mkdir -p benchmarks/results
	failed=0; for trial in $(TRIALS); do \
		$(BIN)/dingocar leaderboard run benchmarks/suites/$$trial.toml --jobs $(JOBS) $(DATA) || failed=1; \
		test ! -e leaderboard/$$trial/results.jsonl || $(BIN)/dingocar leaderboard show \
			benchmarks/suites/$$trial.toml --export benchmarks/results/$${trial%%_*}.jsonl \
			--html leaderboard/$$trial/page.html >leaderboard/$$trial/table.txt; \
	done; exit $$failed

clean:  ## remove what was made
	rm -rf .venv .venv-peer .venv-sb3 build demo *.egg-info .pytest_cache .mypy_cache .ruff_cache
