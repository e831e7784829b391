# Thin names for ./mesh and the checks. `make help` lists them.
STACK ?=
LAB ?= east-west
OVERLAY ?=
ROUNDS ?= 5
# Recipes read them from the environment, unexpanded: neither make nor the shell runs any part of them.
override export STACK := $(value STACK)
override export LAB := $(value LAB)
override export OVERLAY := $(value OVERLAY)
override export ROUNDS := $(value ROUNDS)
laid := $${OVERLAY:+--overlay="$$OVERLAY"}
parallel := -n 2 --dist loadfile --no-loadscope-reorder
export MESH_REQUIREMENTS = requirements.txt
.DEFAULT_GOAL := help
.PHONY: help up down lab lab-down lab-test namespaces traffic preview verify validate trust doctor install dev lint test unit coverage engine bench bench-native bench-lab lock pictures docs clean tools

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## Bring up the federation of STACK (default: embedded, or simulated where pods cannot run), with the overlay file OVERLAY if one is given
	@./mesh up --yes --call --stack="$$STACK" $(laid)

down: ## Remove everything that `make up` created for STACK
	@./mesh down --yes --stack="$$STACK"

preview: ## Show every object that STACK would change; needs no cluster and no network
	@./mesh preview --stack="$$STACK" $(laid)

lab: ## Two kind clusters, two meshes, and a real request between them; needs Docker
	@./mesh up --yes --call --stack="$$LAB" $(laid)

lab-down: ## Remove everything that `make lab` created
	@./mesh down --yes --stack="$$LAB"

verify: ## Prove that the running federation is what STACK declares
	@./mesh verify --stack="$$STACK" $(laid)

validate: ## Check the stack file of STACK
	@./mesh validate --stack="$$STACK" $(laid)

trust: ## Explain the certificate hierarchy of STACK and its limits
	@./mesh trust --stack="$$STACK" $(laid)

namespaces: ## Let users of this machine run native clusters, where Ubuntu does not; asks for sudo
	@sudo sysctl --ignore --quiet --write kernel.apparmor_restrict_unprivileged_userns=0

doctor: ## Show what is installed, and what is missing for which provider
	@./mesh doctor

install: ## Install the toolchain
	@./mesh install

tools: # The toolchain of the tests, and of previews of kind stacks
	@./mesh install kwok native kind

dev: export MESH_REQUIREMENTS = requirements-dev.txt
dev:
	@./mesh >/dev/null

lint: dev ## Check style and types
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

test: lint tools ## Check style and types, and run all tests that need no Docker but those marked `long`
	@.venv/bin/pytest tests/unit $(parallel)
	@.venv/bin/pytest tests/engine $(parallel) -m "not long"
	@$(MAKE) --no-print-directory traffic

unit: dev ## Tests that need nothing
	@.venv/bin/pytest tests/unit $(parallel)

coverage: dev ## The same tests, and the lines and branches that none of them runs
	@.venv/bin/pytest tests/unit $(parallel) --cov --cov-report=term-missing:skip-covered

traffic: dev tools ## Tests with real traffic, on native clusters
	@.venv/bin/pytest tests/traffic $(parallel) -m "not long"

lab-test: dev tools ## The same tests and the long ones, on kind clusters; needs Docker
	@.venv/bin/pytest tests/traffic --provider=kind

engine: dev tools ## Tests on the real engine and real API servers
	@.venv/bin/pytest tests/engine $(parallel)

bench: dev install ## Measure a bring-up beside a sequential script
	@.venv/bin/python -m benchmarks

bench-native: dev ## Measure federations of native clusters of several sizes
	@./mesh install native
	@.venv/bin/python -m benchmarks.native --rounds="$$ROUNDS"

bench-lab: dev ## Measure bring-ups on real clusters beside the walk-through as a script; needs Docker
	@./mesh install kind
	@.venv/bin/python -m benchmarks.lab --stack="$$LAB" --rounds="$$ROUNDS" $(laid)

lock: dev ## Pin the Python packages again, with hashes
	@.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-strip-extras --custom-compile-command "make lock" pyproject.toml -o requirements.txt
	@.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-strip-extras --custom-compile-command "make lock" --extra dev pyproject.toml -o requirements-dev.txt
	@.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-strip-extras --custom-compile-command "make lock" --group docs -o requirements-docs.txt

pictures: dev ## Draw the pictures in docs/pictures again
	@.venv/bin/pytest -q tests/unit/golden/test_topology.py tests/unit/golden/test_hierarchy.py --update-goldens

docs: dev ## Build the documentation site into .mesh/site
	@.venv/bin/uv venv -q --allow-existing .mesh/docs
	@.venv/bin/uv pip sync -q --require-hashes --python .mesh/docs requirements-docs.txt
	@.mesh/docs/bin/mkdocs build --quiet --strict --site-dir .mesh/site

clean: ## Remove the Python environment; clusters and state stay
	@rm -rf .venv
