# One-line verbs. `make run` and `make test` need nothing before them but python3.11+, make and network to PyPI.
PYTHON ?= python3
BIN    := .venv/bin
JOBS   ?= 3
TRIES  ?= 1
# An index may be slow or away for a moment.
export PIP_RETRIES ?= 8
export PIP_DEFAULT_TIMEOUT ?= 60
export UV_HTTP_RETRIES ?= 8
export UV_HTTP_TIMEOUT ?= 120
# Images of containers set it: then each of a thousand processes compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup run test test-fast transparency test-all check matrix attack proto fmt lint bench bench-peers clean

setup: .venv/installed          ## everything in .venv, .venv/bin/perdure included
.venv/installed: pyproject.toml hatch_build.py build_sites.py $(wildcard runner/perdure_runner/child/patching/_sites*.[ch] runner/perdure_runner/child/_sharing.c)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check uv
	$(BIN)/uv pip install -q --python $(BIN)/python --reinstall-package perdure -e . --group dev
	@touch $@

run: setup                      ## a handler survives kill -9
	@$(BIN)/python examples/quickstart/demo.py

test: setup lint                ## the whole suite on this interpreter
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --reruns $$(($(TRIES) - 1))

test-fast: setup                ## without the tests that take long
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow"

test-all: test                  ## the suite here, and on every other CPython found what may differ there
	JOBS=$(JOBS) TRIES=$(TRIES) $(BIN)/python tests/everywhere.py

lint: setup                     ## style, types, layers, generated code
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

check: setup                    ## crash every example after every journal entry
	for example in examples/*/; do $(BIN)/perdure check --jobs 4 $$example || exit 1; done

transparency: setup             ## the standard library's own tests through the hook, on every CPython found
	$(BIN)/python -m tests.transparency

matrix: setup                   ## every construct: plainly, recorded, replayed, killed after every entry
	@PYTHONPATH=tests $(BIN)/python -m matrix

attack: setup                   ## every attack as user code, on every backend that this machine has
	@PYTHONPATH=tests $(BIN)/python -m attacks

proto:                          ## generate the committed protobuf code
	proto/generate.sh

fmt: setup                      ## format the code
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: setup                    ## one table, and bench/latest.json
	$(BIN)/python -m bench

bench-peers: setup              ## the same workloads on peers, in environments of their own
	$(BIN)/python -m bench.peers

clean:                          ## everything that can be made again
	rm -rf .venv .venv-* .perdure build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
