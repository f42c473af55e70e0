# The commands of this project; `make help` lists them. Each sets up what it needs, once. GNU make 3.81 or newer, macOS or Linux.
# Not the default shell, because make 3.81 would then run simple commands itself, by its own PATH instead of the one exported here.
SHELL := bash
# The devDependency `node` carries the Node version that everything here runs on, whatever the machine has.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
RESULTS := .cache/results
# `--forceExit` below: a test that fails may leave a timer or a socket, and a level that has its result must not wait for that.

.PHONY: help demo test test-observability test-node test-providers packages check unit e2e timed generate cluster cluster-down bench bench-database measure-crashes measure-revocation bundle clean setup
.NOTPARALLEL:

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  Needed: bash, Node and npm, openssl, and Go 1.26 or newer to build the Kubernetes control plane once (it is kept outside the clone).'
	@echo '  In part instead of Go: TASKBOUND_HELM and TASKBOUND_HELM3=a helm of version 4 and of version 3, for the tests of the chart;'
	@echo '  TASKBOUND_VAULT=a vault or bao; TASKBOUND_MOTO=a python that has moto 5.2 (else python3 with venv); KUBEBUILDER_ASSETS=folder with etcd, kube-apiserver and kubectl; or KUBECONFIG=a cluster that demo and tests may use'
	@echo '  (they apply CRDs and admission policies to it; TASKBOUND_TEST_USE_KUBECONFIG=0 makes them ignore it);'
	@echo '  TASKBOUND_KEYCLOAK=folder of a built Keycloak 26 and TASKBOUND_MOTO=a python that has moto[server] 5.2, for make test-providers;'
	@echo '  and TASKBOUND_PROMETHEUS=folder with prometheus and promtool, for make test-observability, where they are not on the PATH.'

demo: setup ## a task gets its credential and loses it at its end, on a real control plane, in a minute
	@node test/demo/demo.ts

test: check unit e2e timed ## everything that needs no more than `make demo`: check, then unit tests, end-to-end tests

test-observability: setup ## metrics, alerts and dashboards in a real Prometheus; needs prometheus and promtool, as `make packages` installs
	@mkdir -p $(RESULTS)
	@npm run -s observability -- --forceExit --json --outputFile=$(RESULTS)/observability.json

packages: ## installs what the levels beyond `make test` need, on Debian and as root
	@missing=$$(for name in $$(grep -v '^#' test/packages.txt); do dpkg -s "$$name" >/dev/null 2>&1 || echo "$$name"; done); \
	if [ -n "$$missing" ]; then apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing; fi

check: setup ## types, lint, dead code, and whether what is generated is current
	@npm run -s typecheck
	@npm run -s lint
	@npm run -s deadcode
	@npm run -s unit -- --testPathPatterns 'test/drift\.test\.ts'

unit: setup ## tests that need Node, and Go or a helm
	@mkdir -p $(RESULTS)
	@npm run -s unit -- --forceExit --json --outputFile=$(RESULTS)/unit.json

test-providers: setup ## tests against the real servers of providers, built once (minutes, then they are kept): needs Java 17, Maven and python3
	@mkdir -p $(RESULTS)
	@node test/tools/servers.ts
	@npm run -s providers -- --forceExit --json --outputFile=$(RESULTS)/providers.json

e2e: setup ## tests against a real API server
	@mkdir -p $(RESULTS)
	@node test/tools/servers.ts vault
	@TASKBOUND_TEST_WORKERS=$${TASKBOUND_TEST_WORKERS:-$(if $(KUBECONFIG),1,2)} npm run -s e2e -- --forceExit --json --outputFile=$(RESULTS)/e2e.json

timed: setup ## of these, the tests that compare times, so that nobody else may use the machine
	@mkdir -p $(RESULTS)
	@node test/tools/servers.ts vault
	@npm run -s timed -- --forceExit --json --outputFile=$(RESULTS)/timed.json

test-node: setup ## tests on a whole node, with the chart installed by helm: needs root and what `make packages` installs
	@mkdir -p $(RESULTS)
	@npm run -s node -- --forceExit --json --outputFile=$(RESULTS)/node.json

generate: setup ## writes everything that is generated again
	@npm run -s generate

cluster: setup ## starts a control plane with our kinds that keeps running, and prints its kubeconfig
	@node test/cluster/up.ts

cluster-down: setup ## ends it
	@node test/cluster/up.ts down

bench: setup ## measures against a bare client
	@node test/bench/bench.ts

bench-database: setup ## measures with a real PostgreSQL
	@node test/bench/database.ts

measure-crashes: setup ## the whole crash matrix, and the type that a test of its own kills, more than an hour; it writes docs/reference/crash-matrix.md
	@node test/tools/servers.ts
	@node test/bench/crashes.ts --write

measure-revocation: setup ## how long after its end a credential still works, at every source, half an hour; it writes docs/reference/time-to-revoke.md
	@node test/tools/servers.ts
	@node test/bench/revocation.ts --write

bundle: setup ## the operator and all it imports as a few files in dist/, of which the image is made
	@npm run -s bundle

clean: ## ends the cluster and removes everything made in this folder; the control plane's binaries stay in the cache of the user
	@if [ -e .cache/cluster/supervisor.pid ] && [ -x node_modules/.bin/node ]; then node test/cluster/up.ts down; fi
	rm -rf .cache dist node_modules

# By content, not by time: a checkout touches the lock file without changing it. Not `npm ci`, which refuses a lock file that lacks the
# optional packages of other platforms; this installs the versions and checks the sums of the lock file too, and writes neither file.
setup:
	@wanted=$$(cksum < package-lock.json); \
	if [ "$$wanted" != "$$(cat node_modules/.installed 2>/dev/null)" ]; then \
	  echo 'installing npm packages' >&2; \
	  npm install --no-save --no-audit --no-fund --loglevel=error >&2 || exit 1; \
	  if ! node_modules/.bin/node --version >/dev/null 2>&1; then \
	    echo 'installing Node, whose install script npm did not run' >&2; \
	    (cd node_modules/node && PATH="$${PATH#*:}" node installArchSpecificPackage.js >&2) || exit 1; \
	    mkdir -p node_modules/.bin && ln -sf ../node/bin/node node_modules/.bin/node; \
	  fi; \
	  node_modules/.bin/node --version >/dev/null || exit 1; \
	  printf '%s\n' "$$wanted" > node_modules/.installed; \
	fi
