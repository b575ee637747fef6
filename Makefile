# Works with GNU make, a POSIX shell and Python 3.10 to 3.14; everything else is installed into $(VENV).

VENV ?= .venv
PYTHON ?=
ARGUMENTS =

environment = @VENV='$(VENV)' PYTHON='$(PYTHON)' sh development/environment.sh
run = $(VENV)/bin/python -m
# Each process of the tests, and each task that Airflow runs in them, would otherwise compile all modules anew.
export PYTHONDONTWRITEBYTECODE =
# More processes than cores, since tests wait; but each takes seconds to import and collect all tests.
unit_tests = pytest tests/unit --dist worksteal --durations 10 --numprocesses
# An environment for each version of Airflow, and of Python where one is named.
versions_venv = .venv-airflow-$(AIRFLOW)$(if $(PYTHON),-$(notdir $(PYTHON)))
# Of the libraries that object stores need, constraints.txt rules some out.
stores_venv = .venv-stores
# Airflow spends more than half of its time waiting: tests that share one run side by side with those of two others.
side_by_side = --numprocesses 3 --dist loadscope --durations 10

.DEFAULT_GOAL = help
.PHONY: help demo demo-batch airflow stack sandbox screenshots test test-airflow test-stores test-lowest versions test-all \
	test-fast test-thorough test-unit chaos bench bench-imports bench-batch bench-webhooks bench-page bench-tables docs lint types \
	changelog dist hooks \
	secrets image-digests constraints clean environment tools

help: ## show this list
	@echo 'make TARGET [PYTHON=python3.12] [VENV=.venv] [ARGUMENTS=...]'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | \
		while IFS='|' read -r target text; do printf '  %-14s %s\n' "$$target" "$$text"; done
	@echo
	@echo 'Each target first installs what it needs and is missing in $(VENV).'

demo: environment ## run the example DAG against a sandbox of the API (ARGUMENTS=--verbose: Airflow's log too)
	@$(run) development.demo $(ARGUMENTS)

demo-batch: environment ## run the example of a batch with 2,000 cases (ARGUMENTS: --verbose, --cases 500)
	@$(run) development.demo_batch $(ARGUMENTS)

airflow: environment ## run Airflow with the example DAGs and a sandbox of the API, to click around in
	@$(run) development.interactive $(ARGUMENTS)

stack: tools ## run PostgreSQL, Redis and all of Airflow, as docker-compose.yaml describes it (WORKERS=2)
	@$(run) development.stack $(ARGUMENTS)

sandbox: environment ## run only the sandbox of the API (ARGUMENTS=--help: its options)
	@$(run) airflow_provider_workflows.sandbox $(ARGUMENTS)

test: test-unit test-stores test-airflow ## run the tests, but the slowest (ARGUMENTS go to pytest, three times)
	@echo 'The slowest tests, and larger numbers of runs and rows, are in "make test-all".'

test-fast: tools ## run the quick tests, which need no running Airflow, in 40 seconds (ARGUMENTS go to pytest)
	$(run) $(unit_tests) 3 -m 'not thorough' $(ARGUMENTS)

test-thorough: tools ## run what test-fast leaves out: the rest of long tables, loads, real processes (ARGUMENTS as well)
	$(run) $(unit_tests) 4 -m 'thorough and not slow' $(ARGUMENTS)

# As one run: each process of the tests imports and collects all of them, which takes a third of the quick tests' time.
test-unit: tools ## run the tests of both, which need no running Airflow (ARGUMENTS as well)
	$(run) $(unit_tests) 4 -m 'not slow' $(ARGUMENTS)

test-stores: ## run a batch on S3, Google's and Azure's storage, emulated (ARGUMENTS go to pytest)
	@VENV='$(stores_venv)' PYTHON='$(PYTHON)' sh development/environment.sh stores
	$(stores_venv)/bin/python -m pytest tests/stores -m 'not slow' $(ARGUMENTS)

ifdef AIRFLOW
test-airflow:
	@AIRFLOW='$(AIRFLOW)' VENV='$(versions_venv)' PYTHON='$(PYTHON)' sh development/environment.sh airflow
	VERSIONS_RESULT='$(versions_venv)/result.json' $(versions_venv)/bin/python -m pytest tests/versions $(ARGUMENTS)
else
test-airflow: tools ## run the tests that need a running Airflow, but the slowest (AIRFLOW=3.1.8: the main flow on that one)
	$(run) pytest tests/integration tests/stack -m 'not slow' $(side_by_side) $(ARGUMENTS)
endif

test-lowest: ## run the main flow with the lowest versions that pyproject.toml permits, in an environment of its own
	@$(MAKE) --no-print-directory test-airflow AIRFLOW=lowest PYTHON='$(PYTHON)' ARGUMENTS='$(ARGUMENTS)'

versions: ## print what test-airflow has found of each version of Airflow, as a table
	@$(run) development.versions

test-all: tools ## run all tests, with larger numbers of runs and rows, in three quarters of an hour (ARGUMENTS as well)
	$(run) $(unit_tests) 4 $(ARGUMENTS)
	STACK_RUNS=150 STACK_ROWS=10000 WEBHOOK_RUNS=100 WEBHOOK_POLLED_RUNS=30 WEBHOOK_ROWS=500 \
		$(run) pytest tests/integration tests/stack $(side_by_side) $(ARGUMENTS)
	@VENV='$(stores_venv)' PYTHON='$(PYTHON)' sh development/environment.sh stores
	$(stores_venv)/bin/python -m pytest tests/stores --numprocesses 2 $(ARGUMENTS)

chaos: tools ## let everything happen to the stack, and check what was paid, in an hour (ARGUMENTS: --seed 1, --short)
	@$(run) development.chaos $(ARGUMENTS)

screenshots: tools ## take the pictures of the pages for the documentation, with Chromium (ARGUMENTS=--help)
	@$(run) development.screenshots $(ARGUMENTS)

bench: environment ## measure what a poll costs, beside other providers, in 8 minutes (ARGUMENTS=--help)
	@$(run) pip install -qq --disable-pip-version-check --editable '.[bench]'
	@$(run) benchmarks.polling $(ARGUMENTS)

bench-imports: environment ## measure what importing the operators costs, beside other providers (ARGUMENTS=--help)
	@$(run) pip install -qq --disable-pip-version-check --editable '.[bench]'
	@$(run) benchmarks.imports $(ARGUMENTS)

bench-batch: tools ## measure a batch beside mapped tasks, and how it grows, in half an hour (ARGUMENTS=--help)
	@$(run) benchmarks.batch $(ARGUMENTS)

bench-webhooks: tools ## measure how soon webhooks resume tasks, and what forged ones cost, in 10 minutes (ARGUMENTS=--help)
	@$(run) benchmarks.webhooks $(ARGUMENTS)

bench-page: tools ## measure what a large batch's page costs in Chromium, in a quarter of an hour (ARGUMENTS=--help)
	@$(run) benchmarks.page $(ARGUMENTS)

bench-tables: tools ## measure reading and checking a million rows, beside pandas and polars, in 10 minutes (ARGUMENTS=--help)
	@$(run) benchmarks.tables $(ARGUMENTS)

lint: tools ## check style, formatting, which module imports which, and the declared dependencies
	$(run) ruff check .
	$(run) ruff format --check .
	$(VENV)/bin/lint-imports
	$(run) deptry .

types: tools ## check types with mypy
	$(run) mypy -p airflow_provider_workflows -p development -p benchmarks -p tests.harness

secrets: environment ## write secrets of your own for docker compose (ARGUMENTS=--folder DIR; secrets/ as it is)
	@$(run) development.stack_secrets $(ARGUMENTS)

image-digests: environment ## pin the images of the containers by digest, with Docker, which asks their registry
	@$(run) development.image_digests $(ARGUMENTS)

hooks: tools ## let git run lint before each commit, and types before each push
	@$(run) pip install -qq --disable-pip-version-check pre-commit
	@$(run) pre_commit install --hook-type pre-commit --hook-type pre-push

changelog: tools ## show the changelog of the next release, made from changelog.d (RELEASE=yes: write it)
	@$(run) towncrier build $(if $(RELEASE),--yes,--draft) \
		--version "$$($(VENV)/bin/python -c 'import airflow_provider_workflows as package; print(package.__version__)')"

docs: tools ## build the documentation into site/, and check its links (a warning is an error)
	@rm -rf site
	@AIRFLOW_HOME='$(abspath $(VENV))/airflow' AIRFLOW__LOGGING__LOGGING_LEVEL=WARNING \
		$(run) sphinx --fail-on-warning --keep-going --quiet --builder html docs site
	@$(run) development.documentation.built_site site

dist: docs ## build the source distribution and the wheel, check them, and run an example from the wheel
	@$(run) pip install -qq --disable-pip-version-check --constraint constraints.txt --editable '.[release]'
	@$(run) development.distribution $(ARGUMENTS)

constraints: tools ## renew constraints.txt: the newest versions that go together on all Pythons (KEEP=1: only what is missing)
	@echo 'Looking for versions with uv ...'
	@cp constraints.txt '$(VENV)/constraints.txt'
	@$(run) pip install -qq --disable-pip-version-check uv
	@$(run) uv pip compile --quiet --universal $(if $(KEEP),,--upgrade) --python-version 3.10 --extra dev --extra release \
		--no-annotate --no-header --no-emit-index-url --no-emit-find-links \
		--output-file '$(VENV)/constraints.txt' pyproject.toml
	@{ echo '# Versions that were tested together, on Python 3.10 to 3.14. Renewed by `make constraints`.'; \
		cat '$(VENV)/constraints.txt'; } >constraints.txt

clean: ## remove the environment and everything that was built
	@if [ -f '$(VENV)/pyvenv.cfg' ]; then rm -rf '$(VENV)'; fi
	@rm -rf build dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

environment:
	$(environment) runtime

tools:
	$(environment) development
