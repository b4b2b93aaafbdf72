# The two commands of a fresh machine are `make demo` and `make test`; all they need is Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test lint bench clean
.DEFAULT_GOAL := demo

demo: $(VENV)/installed-demo
	$(BIN)/python examples/demo.py

# The tests that are marked as slow take part with ALL=1, as CI runs them; SLOW=1 runs them alone.
test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile $(if $(ALL),,-m "$(if $(SLOW),,not )slow")

lint: $(VENV)/installed-test $(VENV)/installed-lint
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed-test .venv-mlflow/installed .venv-kedro/installed
	$(BIN)/python benchmarks/tracking.py
	$(BIN)/python benchmarks/server.py
	$(BIN)/python benchmarks/artifacts.py
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/kedro.py

clean:
	rm -rf $(VENV) .venv-mlflow .venv-kedro .venv-kedro-ratoon .venv-kedro-mlflow

$(VENV)/bin/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# VIRTUAL_ENV tells uv where to install, whatever is active outside.
$(VENV)/installed-demo: $(VENV)/bin/uv pyproject.toml
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet -e ".[sklearn,serve,kedro]"
	touch $@

# PyTorch comes first and through pip, which can be told by its own configuration where a build without CUDA lies.
$(VENV)/installed-test: $(VENV)/bin/uv pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet -e ".[all]" --group test --group flavors
	touch $@

$(VENV)/installed-lint: $(VENV)/bin/uv pyproject.toml
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --group lint
	touch $@

# What ratoon is measured against has an environment of its own.
.venv-mlflow/installed: $(VENV)/bin/uv
	$(BIN)/uv venv --quiet .venv-mlflow
	VIRTUAL_ENV=$(abspath .venv-mlflow) $(BIN)/uv pip install --quiet mlflow==3.17.2
	touch $@

# Kedro without a plugin, with ratoon, with kedro-mlflow, and with the same of everything else. ratoon is installed as its
# users have it: each folder of an editable one is searched by every import that finds nothing, and Kedro makes hundreds.
.venv-kedro/installed: $(VENV)/bin/uv pyproject.toml $(shell find plugin kedro_hooks -name '*.py')
	for each in ".venv-kedro" ".venv-kedro-ratoon .[kedro]" ".venv-kedro-mlflow kedro-mlflow==2.0.3 mlflow==3.17.2"; do \
	  set -- $$each && $(BIN)/uv venv --quiet --clear $$1 && VIRTUAL_ENV=$(CURDIR)/$$1 && export VIRTUAL_ENV && shift && \
	  $(BIN)/uv pip install --quiet kedro==1.7.0 kedro-datasets pandas $$@ || exit 1; \
	done
	touch $@
