# Each target makes its own environment first; Python 3.11 or newer is all that must be there.
PYTHON ?= python3
ENV ?= dev
BENCHMARKS := serving cold batch data release switch memory honest poison
BIN := .venv/bin
PACKAGE := layers/serin/python infra local cli

.PHONY: setup demo try test check mutate golden lock dist synth deploy bench
setup: .venv/ready

.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || (echo "Serin needs Python 3.11 or newer; name one: make PYTHON=python3.12 …" && exit 1)
	@if command -v uv >/dev/null 2>&1; then \
	  echo "installing with uv" && uv venv -q --seed --allow-existing --python "$$(command -v $(PYTHON))" .venv && \
	  uv pip install -q --python $(BIN)/python -r requirements.txt && uv pip install -q --python $(BIN)/python --no-deps -e . ; \
	else \
	  echo "installing with pip" && $(PYTHON) -m venv .venv && \
	  $(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.txt && \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e . ; \
	fi
	@touch $@

demo: setup
	@$(BIN)/serin demo

# A table of yours, on the twin. DATA: a CSV or Parquet file. TARGET: the column to predict.
try: setup
	@$(BIN)/serin try "$(DATA)" --target "$(TARGET)"

test: setup
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

check: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@rm -rf build/package && mkdir -p build/package && cp -R $(addsuffix /serin,$(PACKAGE)) build/package  # as in a wheel
	@PYTHONPATH=build/package:. $(BIN)/lint-imports

# Takes each condition of each write away once; some test must go red. ONLY=start.py: those whose name has that in it.
mutate: setup
	@$(BIN)/python -m tests.mutate $(ONLY)

golden: setup
	@GOLDEN=renew $(BIN)/python -m pytest -q tests/contract/test_schema.py tests/serving/test_openapi.py tests/infra

# Which packages each bundle of layers/ consists of, transitive ones too, by the hashes of their files.
lock: setup
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==0.13.9
	@for each in layers/*/requirements.in; do echo $$each && (cd $$(dirname $$each) && $(CURDIR)/$(BIN)/uv pip compile -q --no-header \
	  --generate-hashes --python-version 3.13 --python-platform x86_64-manylinux_2_28 -c ../../requirements.txt \
	  -o requirements.txt requirements.in) || exit 1; done

# dist/serin-<version>-py3-none-any.whl: library, functions, stacks, twin, commands, examples.
dist: setup
	@rm -rf dist && $(BIN)/python -m pip wheel -q --disable-pip-version-check --no-deps -w dist . && ls dist

synth: setup
	@$(BIN)/python -m serin.cdk.synth

deploy: setup
	@$(BIN)/serin cdk deploy -c env=$(ENV)

# What each shows: benchmarks/README.md. All run, whichever misses its targets.
bench: setup
	@status=0; for each in $(BENCHMARKS); do $(MAKE) --no-print-directory bench-$$each || status=1; done; exit $$status

bench-%: setup
	@$(BIN)/python -m benchmarks.$*
