# Podium's two commands: `make up` runs a cluster, `make test` passes the tests. Both set up what they need.
# Debian's own Python where there is one that will do: it is the one that python3-venv completes, and is
# compiled with what profiles say, as others on the PATH may not be.
PYTHON ?= $(or $(shell for python in /usr/bin/python3 python3; do \
  $$python -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; \
  done),python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEBIAN_PACKAGES := busybox-static containerd containernetworking-plugins iproute2 nftables python3-venv runc util-linux
UP_FLAGS ?=

.PHONY: help up down test check unit conformance fuzz clients e2e docs bench system clean

help: ## Show this
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

up: system $(STAMP) ## Set everything up, run a cluster, put the example's images on it
	@$(BIN)/podium up $(UP_FLAGS)
	@$(BIN)/podium image build examples/hello/image.toml -o build/hello-1.tar
	@$(BIN)/podium image build examples/hello/image.toml -t podium.local/hello:2 -o build/hello-2.tar
	@$(BIN)/podium image load build/hello-1.tar build/hello-2.tar

down: ## Stop the cluster and remove what it left on the machine; its data stays
	@$(BIN)/podium down

test: DEBIAN_PACKAGES += etcd-server
test: system $(STAMP) check unit conformance fuzz clients e2e ## Set up and pass all tests

check: $(STAMP) ## Style, types and layers
	$(BIN)/ruff format --check src tests bench docs
	$(BIN)/ruff check src tests bench docs
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(STAMP) ## Tests that need no container and no other program
	$(BIN)/pytest -m "not e2e" --ignore=tests/clients --ignore=tests/conformance --ignore=tests/fuzz

conformance: $(STAMP) ## Upstream's conformance tests of the API, against a cluster with simulated nodes
	$(BIN)/pytest tests/conformance

fuzz: $(STAMP) ## Hostile requests; PODIUM_FUZZ_REQUESTS=200000 for a long run
	$(BIN)/pytest -m fuzz tests/fuzz

clients: $(STAMP) ## Other people's clients, against a cluster with simulated nodes
	@-$(BIN)/python -m tests.clients.tools
	$(BIN)/pytest -m clients tests/clients

e2e: system $(STAMP) ## The whole transcript, with real containers (needs root)
	$(BIN)/pytest -m e2e

docs: $(STAMP) ## Write docs/reference anew from the code
	$(BIN)/python docs/generate.py

bench: $(STAMP) ## Print how fast and how large
	$(BIN)/python -m bench.start
	$(BIN)/python -m bench.api
	$(BIN)/python -m bench.controllers --scale 0.1 --idle-seconds 30

# Debian's packages; elsewhere, or without root, `podium up` says what is missing.
system:
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  missing=$$(for p in $(DEBIAN_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	  if [ -n "$$missing" ]; then \
	    echo "Installing" $$missing; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null; \
	  fi; \
	fi

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check -e '.[clients,dev,etcd,kubectl,swagger-ui]'
	@touch $@

clean: ## Remove what was built here (not the cluster's data)
	rm -rf build dist $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
