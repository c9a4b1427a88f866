# Wadi. `make demo` shows it, `make test` proves it; each sets up its own .venv once.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
OUT ?= out

.PHONY: help demo test test-fast lint format bench scaling picture docs lock clean

help:            ## this list
	@grep -hE '^[a-z-]+: .*## |^[a-z-]+: +##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1\t/' | expand -t 16

demo: .run       ## the whole pipeline on the synthetic country, offline, with a map at the end
	@$(BIN)/wadi demo --out $(OUT)

test: .test      ## every test, the browser and Prefect ones too
	@$(BIN)/python -m pytest -n auto --dist loadfile

test-fast: .test ## what a developer runs between two edits
	@$(BIN)/python -m pytest -n auto --dist loadfile -m "not browser and not prefect and not slow"

lint: .test      ## ruff, import contracts, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy

format: .test    ## rewrite the code in the house style
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: .test     ## ours against a named peer, in one run; writes build/bench.json
	@$(BIN)/python -m tests.bench

scaling: .test   ## cost against cells and subdistricts; writes docs/scaling.md and docs/scaling.png
	@$(BIN)/python -m tests.bench.scaling

picture: .test   ## the picture of the README, taken from the demo's own map
	@$(BIN)/python -m tests.picture

docs: .test      ## docs/indices.md and docs/new_hazard.md, from the docstrings and the demo's country file
	@$(BIN)/python -m tests.docs

lock:            ## renew the pins (needs uv)
	@for v in 3.11 3.12 3.13; do \
	  uv pip compile -q pyproject.toml --universal --python-version $$v --no-header --no-annotate \
	    --generate-hashes --no-emit-index-url --no-emit-find-links -o requirements/run-$$v.txt; \
	  uv pip compile -q pyproject.toml --extra test --universal --python-version $$v --no-header --no-annotate \
	    --generate-hashes --no-emit-index-url --no-emit-find-links -c requirements/run-$$v.txt -o requirements/test-$$v.txt; \
	done

clean:           ## remove what was built, not the environment
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: .run .test
.run .test:
	@test -n "$(PYTHON)" || { echo "Wadi needs Python 3.11, 3.12 or 3.13 (none found on the PATH)."; exit 1; }
	@$(PYTHON) requirements/install.py $(@:.%=%)
