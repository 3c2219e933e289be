# Everything a newcomer types. `make help` lists it.
.DEFAULT_GOAL := help
SHELL := bash
BIN := .venv/bin
export HF_HUB_DISABLE_TELEMETRY := 1
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help env demo test calibrate torture mutate lint format doctor bench parity site docs clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

env: ## Make the environment in .venv
	@bash scripts/bootstrap.sh

demo: env ## Run both phases on the bundled reasoner and say where to look
	@$(BIN)/backtracking run --config configs/demo.yaml
	@$(BIN)/backtracking run --config configs/demo_phase2.yaml
	@echo
	@echo "Where to look:"
	@echo "  runs/demo/reports/         Phase 1: where the onset comes from"
	@echo "  runs/demo-phase2/reports/  Phase 2: whether it can be turned down"
	@echo "  figures/index.md           the figures of both, in a folder per run"
	@echo "  $(BIN)/backtracking status --run-id demo"

test: env ## Run all tests
	@OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist worksteal

coverage: env ## Run all tests and show which lines they reach
	@OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --cov --cov-report=term:skip-covered

lint: env ## Check style, format, types and shell scripts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/shellcheck scripts/*.sh deploy/*.sh .ci/run

format: env ## Fix style and format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

calibrate: env ## Plant known truths and count how often verdicts are wrong (long)
	@$(BIN)/backtracking calibrate --page docs/claims.md

torture: env ## Inflict hundreds of faults on a small study and count what becomes of it (long)
	@OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/python -m tests.torture --page

mutate: env ## Change the code at random and count how often the tests notice (long)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt mutmut
	@$(BIN)/python -m tests.mutation

doctor: env ## Check the installation
	@$(BIN)/backtracking doctor

bench: env ## Measure speed and statistics side by side with peers (long)
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python -P $$script || exit 1; done
	@$(MAKE) --no-print-directory parity

parity: env ## Compare with nnsight and TransformerLens in an environment of their own
	@$(BIN)/python benchmarks/peers/environment.py
	@.venv-bench/bin/python -m pip install --quiet --editable . pytest
	@.venv-bench/bin/python -m pytest tests/parity

site: env ## Build the documentation as a site in site/, and fail on a broken link
	@$(BIN)/mkdocs build --strict --quiet

docs: env ## Write what the pages say of the code: config keys, files of a run, models, the tree
	@$(BIN)/python scripts/write_config_docs.py
	@$(BIN)/python scripts/write_artifact_docs.py
	@$(BIN)/python scripts/write_metric_docs.py
	@$(BIN)/python scripts/write_audit_docs.py
	@$(BIN)/python scripts/write_claims_docs.py
	@$(BIN)/python scripts/write_model_docs.py
	@$(BIN)/python scripts/write_architecture_docs.py

clean: ## Remove environment and caches (runs stay)
	rm -rf .venv .venv-bench .pytest_cache .ruff_cache .mypy_cache build dist site src/*.egg-info
