# Everything runs inside the repository: no root, nothing installed elsewhere.

# The first Python here that the locked packages have wheels for.
SUPPORTED := import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.12 python3.11; do \
	$$python -c '$(SUPPORTED)' 2>/dev/null && echo $$python && exit; done; echo python3)
endif
BIN := .venv/bin
UPGRADE ?=
SEED ?= 1
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup spark-setup proofs-setup demo test pytest spark ape-test simulate soak peers twin prove slither coverage mutants \
	check lint format artifacts snapshots lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Create .venv with the locked packages, Anvil, the compiler and medledger
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo 'setup: no Python found; install Python 3.11 or 3.12' \
		'or name one: make setup PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) toolchain/setup.py

spark-setup: setup
	@$(PYTHON) toolchain/setup.py --spark

proofs-setup: setup
	@$(PYTHON) toolchain/setup.py --proofs

demo: setup ## Run the whole story on the sample in examples/
	$(BIN)/medledger demo --data examples/synthea

test: setup ## Run every check and every test
	$(MAKE) check
	$(MAKE) spark-setup
	$(MAKE) pytest
	$(MAKE) ape-test

pytest: setup ## Run the Python tests, two files at a time
	$(BIN)/pytest -p xdist -n 2 --dist loadfile

ape-test: setup ## Run the contract tests on Anvil
	APE_DATA_FOLDER="$(CURDIR)/.venv/ape" $(BIN)/ape test tests/contracts

spark: spark-setup ## Read an export with Spark as with DuckDB (make test does too)
	$(BIN)/pytest tests/index/test_spark.py

simulate: setup ## Run one seed of the simulation (SEED=1)
	MEDLEDGER_SEED=$(SEED) $(BIN)/pytest tests/simulation/test_seeds.py -s

soak: setup ## Run 500 seeds, every step of the crash walk, 50,000 acts of the model (takes an hour or more)
	MEDLEDGER_SOAK=1 $(BIN)/pytest tests/simulation tests/faults tests/model --timeout=7200

peers: setup ## Compare with OpenAttestation and EAS on the same bills
	$(BIN)/python -m benchmarks.peers.run $(ARGS)

twin: setup ## Compile and run the second verifier (ARGS="verify EVIDENCE...")
	$(TSC)
	$(BIN)/node twin/dist/main.js $(ARGS)

TSC = $(BIN)/node twin/node_modules/typescript/bin/tsc --project twin

prove: proofs-setup ## Prove the properties in proofs/, and that each fails on a broken contract
	$(BIN)/python toolchain/build_artifacts.py --check
	$(BIN)/python -m proofs.prove $(ARGS)

slither: proofs-setup ## Analyse the contracts; fails on a finding without an answer
	.venv/proofs/bin/python proofs/analyse.py

coverage: setup ## Run the contract tests and print what of contracts/ they never execute
	MEDLEDGER_COVERAGE=1 APE_DATA_FOLDER="$(CURDIR)/.venv/ape" $(BIN)/ape test tests/contracts

mutants: setup ## Break the contracts one rule at a time; fails where no contract test notices
	$(BIN)/python -m proofs.mutate $(ARGS)

check: setup lint ## Check style, types, layers and that the artifacts match the contracts
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python toolchain/build_artifacts.py --check
	$(BIN)/python toolchain/build_bindings.py --check
	$(TSC) --noEmit

lint: setup ## Check the style of the Python code
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: setup ## Correct the style of the Python code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

artifacts: setup ## Compile the contracts into the package, and generate their Python classes
	$(BIN)/python toolchain/build_artifacts.py
	$(BIN)/python toolchain/build_bindings.py

snapshots: setup ## Write snapshots/gas.json anew, after a contract changed on purpose
	MEDLEDGER_UPDATE_SNAPSHOTS=1 $(BIN)/pytest tests/gas

lock: setup ## Resolve the lock files again (UPGRADE=1: to the newest versions)
	$(BIN)/uv pip compile pyproject.toml --extra dev --output-file requirements.lock $(LOCK_OPTIONS)
	cd toolchain && ../$(BIN)/uv pip compile node-requirements.in --output-file node-requirements.lock $(LOCK_OPTIONS)
	cd toolchain && ../$(BIN)/uv pip compile spark-requirements.in --output-file spark-requirements.lock $(LOCK_OPTIONS)
	cd toolchain && ../$(BIN)/uv pip compile proofs-requirements.in --output-file proofs-requirements.lock $(LOCK_OPTIONS)
	cd toolchain && PATH="$(CURDIR)/$(BIN):$$PATH" npm install --package-lock-only --ignore-scripts --no-audit --no-fund
	cd twin && PATH="$(CURDIR)/$(BIN):$$PATH" npm install --package-lock-only --ignore-scripts --no-audit --no-fund
	cd benchmarks/peers && PATH="$(CURDIR)/$(BIN):$$PATH" npm install --package-lock-only --ignore-scripts --no-audit --no-fund

LOCK_OPTIONS = --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)

clean: ## Remove all that the other targets made, .venv included
	rm -rf .venv toolchain/node_modules twin/node_modules twin/dist benchmarks/peers/node_modules contracts/.cache .build build dist
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests scripts toolchain benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
