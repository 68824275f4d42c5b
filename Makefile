# Spectron. `make` lists the targets; `make check` is what a change must pass.

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unversioned)

# Plain `./...` covers one module; these cover every module of go.work. Read when a recipe asks, not on every run of make.
MODULES  = $(shell go list -m -f '{{.Dir}}')
PACKAGES = $(addsuffix /...,$(MODULES))

# Static and reproducible; the version comes from here, so the build does not ask version control again.
BUILD = CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)'

GOLANGCI_VERSION := v2.15.0
GOLANGCI := .tools/golangci-lint-$(GOLANGCI_VERSION)

FUZZTIME ?= 30s

# The race detector needs cgo, and so a C compiler.
RACE = $(shell command -v "$$(go env CC)" >/dev/null 2>&1 && echo -race)

COMPOSE ?= docker compose

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/spectrond, bin/spectron and bin/spl, static
	$(BUILD) -o bin/ ./services/spectrond/cmd/... ./services/spectron/cmd/...

.PHONY: run
run: ## serve both planes on 127.0.0.1:9090 from ./.spectron; the first run prints the keys
	@$(BUILD) -o bin/ ./services/spectrond/cmd/...
	@exec bin/spectrond dev start --bootstrap --bind-address 127.0.0.1:9090 --data-dir ./.spectron

.PHONY: test
test: ## run every test, on SQLite and on a real Postgres, with the race detector
	@$(if $(RACE),,echo 'make test: no C compiler ($(shell go env CC)), so without the race detector' >&2)
	$(if $(RACE),CGO_ENABLED=1 )go test $(RACE) -shuffle=on -count=1 -timeout 30m work

.PHONY: test-short
test-short: ## run the tests quickly: cached, with -short, without the race detector
	go test -short work

.PHONY: fuzz
fuzz: ## run each fuzz test for FUZZTIME (30s)
	@for module in $(MODULES); do \
		cd "$$module" && for package in $$(go list ./...); do \
			for target in $$(go test -list '^Fuzz' "$$package" | grep '^Fuzz'); do \
				echo "$$package $$target"; \
				go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
			done; \
		done; \
	done

.PHONY: vet
vet: ## run go vet
	go vet work

.PHONY: lint
lint: $(GOLANGCI) ## check format and lint (.golangci.yml)
	$(GOLANGCI) run $(PACKAGES)

.PHONY: fmt
fmt: $(GOLANGCI) ## format
	$(GOLANGCI) fmt $(PACKAGES)

.PHONY: boundaries
boundaries: $(GOLANGCI) ## build each module on its own and see every forbidden import refused
	.ci/boundaries

.PHONY: generate
generate: ## write the generated code and tables anew
	go generate work

# What stands in the tree now must be what the generators write; changes of yours that are not committed yet do not matter.
.PHONY: diff-check
diff-check: ## fail when something generated is out of date
	@before=$$(git status --porcelain && git diff) && $(MAKE) --no-print-directory generate && \
	after=$$(git status --porcelain && git diff) && \
	if [ "$$before" != "$$after" ]; then git status --short; echo 'diff-check: "make generate" changes files: commit what it writes' >&2; exit 1; fi

.PHONY: model
model: ## search every state of the revocation protocol's model, and see each rule's removal refuted (needs spin)
	services/keymanager/internal/revision/model/check.sh

TORTURE ?= 10m

.PHONY: torture
torture: ## kill, pause, cut and restart real processes for TORTURE (10m) and hold the history against the promise
	SPECTRON_TORTURE=$(TORTURE) go test -count=1 -v -timeout 0 -run '^TestTorture$$' ./services/spectrond/internal/torture/

.PHONY: mutants
mutants: ## break each rule of the revocation protocol in turn and see the torture notice
	go test -tags mutant -count=1 -v -timeout 30m -run '^Test(Mutants|Scenarios)$$' ./services/spectrond/internal/torture/

SPL_KILLS ?= 200

.PHONY: spl-kill
spl-kill: ## kill the spl daemon SPL_KILLS (200) times under load, and see that it has forgotten nothing
	SPECTRON_SPL_KILLS=$(SPL_KILLS) go test -count=1 -v -timeout 0 -run '^TestKilled$$' ./services/spectrond/cmd/spl/

STORM ?= 60s

.PHONY: storm
storm: ## rotate 200 keys a second under read load for STORM (60s), and say what it costs
	SPECTRON_STORM=$(STORM) go test -count=1 -v -timeout 0 -run '^TestStorm$$' ./services/spectrond/internal/torture/

SOAK ?= 5m

.PHONY: soak
soak: ## change keys, principals and contexts of a million cached keys for SOAK (5m), twice: all fit, and a quarter
	SPECTRON_SOAK=$(SOAK) go test -count=1 -v -timeout 0 -run '^TestSoak$$' ./services/verifier/

.PHONY: bench
bench: ## compare with what people do today, as ratios in one run (needs Postgres with pgbench, and redis-server)
	SPECTRON_BENCH=1 go test -count=1 -v -timeout 30m -run '^TestBench$$' ./services/spectrond/internal/bench/

# A module of its own, outside go.work: what reads manifests is larger than what they start.
.PHONY: kubernetes
kubernetes: ## build the manifests as kubectl does and hold them against Kubernetes' own types
	cd deployments/kubernetes && GOWORK=off go vet ./... && GOWORK=off go test -count=1 ./...

.PHONY: observability
observability: ## ask every query of the dashboards and alerts of what running services measure (needs Debian's prometheus, or its two programs)
	cd deployments/observability && GOWORK=off go vet ./... && GOWORK=off go test -count=1 ./...

.PHONY: check
check: lint vet boundaries diff-check model kubernetes observability test ## everything a change must pass

.PHONY: up
up: ## build and start Docker Compose; the first time, print the keys
	@deployments/compose/up.sh

.PHONY: down
down: ## stop Docker Compose; the data stays (docker compose down --volumes drops it)
	$(COMPOSE) down

.PHONY: test-compose
test-compose: ## run the whole story on Docker Compose, the overlays, a backup restored, and what the documents say of it, from nothing, under names of their own
	deployments/compose/test.sh
	deployments/compose/overlays.sh
	deployments/compose/backup-test.sh
	deployments/compose/docs-test.sh

.PHONY: faults
faults: ## kill, pause, cut, fill and skew the containers of the overlay replicas under load, and write docs/faults.md (ten minutes)
	deployments/compose/faults.sh docs/faults.md

.PHONY: rolling
rolling: ## replace every replica of both services under load, and see that no request is lost
	go test -count=1 -v -run '^TestRollingRestartsLoseNoRequest$$' ./services/spectrond/internal/rollout/

.PHONY: clean
clean: ## remove bin/ (never data)
	rm -rf bin

# Named by its version, so that raising the version installs the new one.
$(GOLANGCI):
	@echo 'installing golangci-lint $(GOLANGCI_VERSION) into .tools (minutes, once)' >&2
	@mkdir -p .tools
	@GOBIN='$(CURDIR)/.tools' GOFLAGS= GOWORK=off CGO_ENABLED=0 go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv .tools/golangci-lint $@ && ln -s $(@F) .tools/golangci-lint
