.DEFAULT_GOAL := help
SHELL := bash
PY := .venv/bin/python
STAMP := .venv/.installed
PACKAGES := proto libs/common services/ingest services/router services/timeline services/sla services/insights

$(STAMP): constraints.txt pyproject.toml $(addsuffix /pyproject.toml,$(PACKAGES))
	@tools/setup.sh $(PACKAGES)

.PHONY: help setup demo test up down check proto lock bench token

help: ## print this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

setup: $(STAMP) ## create .venv with everything in it

demo: $(STAMP) ## start everything and tell the story of a message, 90 s
	@$(PY) -m deploy.local.demo

test: $(STAMP) ## check, unit, contract and end-to-end tests on real Kafka and PostgreSQL
	@tools/test.sh

up: $(STAMP) ## run the stack and all services in the foreground until Ctrl-C
	@$(PY) -m deploy.local.up

down: $(STAMP) ## stop what an interrupted run left behind
	@$(PY) -m deploy.local.down

check: $(STAMP) ## ruff, mypy, buf lint, generated code is fresh, architecture
	@tools/check.sh

proto: $(STAMP) ## generate proto/gen
	@tools/proto.sh

lock: $(STAMP) ## resolve constraints.txt anew, keeping existing pins
	@tools/lock.sh $(PACKAGES)

bench: $(STAMP) ## measure against baselines (ONLY=name for one)
	@$(PY) -m tests.bench $(if $(ONLY),--only $(ONLY))

token: $(STAMP) ## print a token: make token ROLE=agent AGENT=ana TENANT=demo
	@$(PY) -m deploy.local.token --role $(or $(ROLE),agent) --tenant $(or $(TENANT),demo) $(if $(AGENT),--subject $(AGENT))
