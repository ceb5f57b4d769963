# Everything a developer or operator types. `make` alone lists the targets; ARGS is handed on: make test ARGS="-k order".
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON := .venv/bin/python
ROOMS := $(patsubst %/__init__.py,%,$(wildcard */__init__.py))
SCRIPTS := tests
COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --no-header --no-emit-index-url --quiet

# Of make chaos and make sabotage: messages each way, the seed of the faults, the longest load, Slack's limits.
N ?= 1000
SEED ?= 1
MINUTES ?= 30
PACE ?= off
SABOTAGE ?=

.PHONY: help setup sandbox tour roles chaos sabotage run test browser waha-py crashes check format migrate rollback rotate-keys manifest sizes lock

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

setup: .venv/.complete ## Make .venv with exactly what requirements-dev.txt names

# Only a finished installation leaves the stamp, so that an interrupted one is taken up again.
.venv/.complete: requirements-dev.txt .ci/venv
	@.ci/venv
	@touch $@

sandbox: setup ## Start Switchboard with a simulated Slack and WAHA, play the tour, stay up
	@$(PYTHON) -m sandbox up $(ARGS)

tour: setup ## Walk through the product in the sandbox and check each step
	@$(PYTHON) -m sandbox tour $(ARGS)

roles: setup ## Ask the same as operator, admin, agent, auditor, guest and stranger; print what each saw
	@$(PYTHON) -m sandbox roles $(ARGS)

chaos: setup ## Kill and trouble everything under load, then compare both ends (N= SEED= MINUTES= PACE=on SABOTAGE=)
	@$(PYTHON) -m sandbox.chaos --messages $(N) --seed $(SEED) --minutes $(MINUTES) --pace $(PACE) --sabotage "$(SABOTAGE)" $(ARGS)

sabotage: setup ## Switch off one safeguard after the other, and see make chaos notice (N= SEED=)
	@$(PYTHON) -m tests.sabotage.all --messages $(N) --seed $(SEED) $(ARGS)

run: setup ## Run the bot and the daemon under supervisord, with your Slack and WAHA
	@mkdir -p var
	@exec $(PYTHON) -m supervisor.supervisord --configuration supervisord.conf

test: setup ## Run the tests
	@$(PYTHON) -m pytest $(ARGS)

browser: setup ## Try the page for passwords in a real Chromium
	@.ci/venv requirements-browser.txt
	@BROWSER=required $(PYTHON) -m pytest tests/browser $(ARGS)

waha-py: setup ## Try the simulated WAHA with a client that others wrote
	@.ci/venv requirements-waha-py.txt .venv-waha-py
	@WAHA_PY=required $(PYTHON) -m pytest tests/outside -s $(ARGS)

crashes: setup ## Kill the bot and the daemon at every step of every journey; ARGS=words: where these occur
	@CRASHES="$(or $(ARGS),all)" $(PYTHON) -m pytest tests/crashing -q -s

check: setup ## Check style, types and who imports whom
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy $(ROOMS) $(SCRIPTS)
	@PYTHONPATH=. .venv/bin/lint-imports

format: setup ## Rewrite the code in the house's style
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

migrate: setup ## Bring the database up to this code
	@$(PYTHON) -m database migrate $(ARGS)

rollback: setup ## Take back the newest migration
	@$(PYTHON) -m database rollback $(ARGS)

rotate-keys: setup ## Encrypt every secret in the database under the first key, while everything runs
	@$(PYTHON) -m operations rotate-keys

manifest: setup ## Write manifest.yaml, from which the Slack app is made, docs/commands.md and docs/permissions.md
	@$(PYTHON) -m bot manifest > manifest.yaml.new && mv manifest.yaml.new manifest.yaml
	@$(PYTHON) -m bot commands > docs/commands.md.new && mv docs/commands.md.new docs/commands.md
	@$(PYTHON) -m bot permissions > docs/permissions.md.new && mv docs/permissions.md.new docs/permissions.md
	@echo "manifest.yaml, docs/commands.md and docs/permissions.md are written. The Slack app:"
	@echo "https://api.slack.com/apps > Create New App > From a manifest"

sizes: setup ## Show how long functions, files and tests are
	@$(PYTHON) tests/house/sizes.py

lock: ## Resolve the dependencies again (needs uv); ARGS=--upgrade takes the newest
	@command -v uv >/dev/null || { echo "make lock needs uv: python3 -m pip install uv" >&2; exit 1; }
	$(COMPILE) $(ARGS) --output-file requirements.txt
	$(COMPILE) $(ARGS) --extra dev --output-file requirements-dev.txt
	$(COMPILE) $(ARGS) --extra dev --extra browser --constraint requirements-dev.txt --output-file requirements-browser.txt
	echo waha-py | $(subst pyproject.toml,-,$(COMPILE)) $(ARGS) --output-file requirements-waha-py.txt
