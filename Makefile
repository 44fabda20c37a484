# make demo        see a face, publish a profile: the whole path on real input
# make test        every test of this repository
# make bench       latency, rates, drops, CPU and memory; writes bench/latest.json
#
# All three make the environment first (scripts/setup_env.py); when nothing changed that takes well under a second.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The interpreter that makes the environment: make PYTHON=python3.12 setup
PYTHON ?= python3
# What the demo plays: a video, a folder of images, a rosbag2 or a camera; empty = the astronaut photograph, moving
INPUT ?=
# Options for the tools, as in: make test ARGS="-k fusion"
ARGS ?=
# How many processes share the tests; 0 runs them one after the other
WORKERS ?= 2

BIN := .venv/bin
# A ROS 2 that is installed on this machine keeps its workspace in install/; the wheels need nothing sourced.
# ROS 2's own files use variables that are not set, hence set +u.
SOURCED := $(if $(ROS_DISTRO),set +u; source install/setup.bash; set -u; ,)
SOURCES := edge ros2_ws/src launch training tests scripts conftest.py
TESTS := edge/tests ros2_ws/src/rapport_ros/test training/tests tests

.PHONY: help setup setup-dev demo test bench lint format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F '\t' '{ printf "  make %-10s %s\n", $$1, $$2 }'

setup: ## make the environment that the demo and the bench need
	@$(PYTHON) scripts/setup_env.py --stage runtime

setup-dev: ## the same, with the test tools and the training package
	@$(PYTHON) scripts/setup_env.py --stage dev

demo: setup ## play INPUT=... through the nodes; report in demo/report.html
	@$(SOURCED)$(BIN)/rapport demo $(if $(INPUT),--input "$(INPUT)") $(ARGS)

test: setup-dev ## run every test (ARGS="-k name" for some)
	@$(SOURCED)OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) $(wildcard $(TESTS)) $(ARGS)

bench: setup ## measure latency, rates, drops, CPU and memory
	@$(SOURCED)$(BIN)/rapport bench $(ARGS)

lint: setup-dev ## ruff, and mypy --strict on rapport_edge
	@$(BIN)/ruff check $(wildcard $(SOURCES))
	@$(BIN)/ruff format --check $(wildcard $(SOURCES))
	@$(BIN)/mypy

format: setup-dev ## let ruff repair what it can
	@$(BIN)/ruff check --fix $(wildcard $(SOURCES))
	@$(BIN)/ruff format $(wildcard $(SOURCES))

clean: ## remove the environment and everything that was built
	@rm -rf .venv .cache build install log demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} + -o -name '*.egg-info' -prune -exec rm -rf {} +
