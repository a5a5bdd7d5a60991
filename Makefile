# From nothing to a running Earshot: `make run`. Everything lands in .venv/ and .earshot/.
PYTHON ?= python3
BIN := .venv/bin
RUNTIME := .venv/.installed
TESTING := .venv/.installed-tests

.PHONY: run test check bench drill openapi lock clean
.DEFAULT_GOAL := run

# uv does not read pip's settings: hand it the index pip would use, and the machine's own certificates. It is quick where
# it works; where it does not, pip does the same and says what is wrong.
define install
	@index="$$($(BIN)/python -m pip config get global.index-url 2>/dev/null || true)"; \
	if [ -n "$$index" ] && [ -z "$$UV_INDEX_URL$$UV_DEFAULT_INDEX" ]; then export UV_DEFAULT_INDEX="$$index"; fi; \
	export UV_SYSTEM_CERTS=1; \
	( $(BIN)/python -m uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv ) && \
	$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1) 2>/dev/null || \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(1)
endef

run: $(RUNTIME)
	@exec $(BIN)/python manage.py up

test: $(TESTING)
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
		command -v google-chrome-stable >/dev/null || \
		echo "Browser tests are skipped: no Chromium or Chrome found. Install one, for example: apt-get install chromium"
	@exec $(BIN)/python -m pytest

check: $(TESTING)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy crm routing socialcare reports
	$(BIN)/lint-imports
	DEMO=0 PUBLIC_URL=https://earshot.example.com/ $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python -W "ignore:Got an error checking" manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check_templates

# The API's document, committed as it is made: a test compares the two.
openapi: $(TESTING)
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

bench: $(TESTING)
	@exec $(BIN)/python -m bench

# make drill kills
drill: $(TESTING)
	@exec $(BIN)/python -m bench.drills $(filter-out drill,$(MAKECMDGOALS))

lock: .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/python -m uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 requirements.in -o requirements.lock
	$(BIN)/python -m uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 -c requirements.lock requirements-test.in -o requirements-test.lock

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Earshot needs Python 3.11 or newer: make PYTHON=…" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv .venv

$(RUNTIME): requirements.lock | .venv/bin/python
	$(call install,requirements.lock)
	@touch $@

$(TESTING): requirements-test.lock | .venv/bin/python
	$(call install,requirements-test.lock)
	@touch $@ $(RUNTIME)

# The word after `drill` is its name, not a target.
ifeq (drill,$(firstword $(MAKECMDGOALS)))
$(filter-out drill,$(MAKECMDGOALS)):
	@:
endif
