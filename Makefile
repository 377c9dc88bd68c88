# make run: install what is needed into .venv and evaluate something. make check test: what CI does.
PYTHON ?= python3
WORKERS ?= 2
PORT ?= 4200
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
VLLM := .venv-vllm

.PHONY: setup run cluster check test docs bench clean
.DEFAULT_GOAL := setup

setup: $(READY)

# pip, as it is what finds the CPU build of torch; -qq: warnings of the index are not ours
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "assay needs Python 3.11 or newer: make PYTHON=…")'
	@echo "installing into $(VENV): some minutes"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev,peft,cluster,quantize]'
	@touch $@

run: setup
	$(BIN)/assay run examples/quickstart.yaml

# a Prefect server, work pools and workers on this machine, until Ctrl-C; POSTGRES=1 PORT=4300 GPU_PYTHON=.venv-vllm/bin/python
cluster: setup
	$(BIN)/python -m flows.cluster --port $(PORT) $(if $(POSTGRES),--postgres) $(if $(GPU_PYTHON),--gpu-python $(GPU_PYTHON))

check: setup
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# the page of all benchmarks, from their files
docs: setup
	$(BIN)/python -m flows.page

# make test-server, test-gpu, test-network: the tests under that mark, which `make test` leaves out
test-%: setup
	$(BIN)/pytest -m '$*'

# vLLM pins torch, so it has an environment of its own; here in its build for CPUs, and the project beside it
$(VLLM)/.ready: pyproject.toml constraints-vllm.txt tests/vllm_stub/pyproject.toml tests/vllm_stub/requirements.txt
	@echo "installing into $(VLLM): some minutes"
	@$(PYTHON) -m venv $(VLLM)
	@$(VLLM)/bin/python -m pip install -qq --disable-pip-version-check --no-deps -r constraints-vllm.txt
	@$(VLLM)/bin/python -m pip install -qq --disable-pip-version-check --no-deps -r tests/vllm_stub/requirements.txt
	@$(VLLM)/bin/python -m pip install -qq --disable-pip-version-check --no-deps ./tests/vllm_stub -e .
	@touch $@

# on a CPU vLLM wants to be told how much memory its cache may take (in GiB) and which address is its own
ON_CPU := VLLM_CPU_KVCACHE_SPACE=1 VLLM_HOST_IP=127.0.0.1 TORCH_COMPILE_DISABLE=1 OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1

test-vllm: $(VLLM)/.ready
	$(ON_CPU) $(VLLM)/bin/python -m pytest -m vllm tests/test_vllm.py tests/test_vllm_runs.py

# each prints what it measured, as ratios; never part of a test
bench: setup
	@set -e; for file in bench/*.py; do echo "$$file"; $(BIN)/python $$file; done

clean:
	rm -rf $(VENV) $(VLLM) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
