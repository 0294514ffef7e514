SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 30s
# Packages that test, bench and fuzz look at.
PKGS ?= ./...
# Packages whose tests need a cluster, and are skipped without.
CLUSTER_TESTS ?= ./test/controlplane/... ./test/e2e ./test/live ./test/admissionpolicies ./test/soak ./cmd/kubectl-mojasec ./pkg/plugin

# Tools are built once per version of the tool and of Go: a cold build of
# golangci-lint takes minutes.
tool_version = $(shell awk '$$1 == "$(1)" { print $$2 }' tools/go.mod)-$(shell go env GOVERSION)
GOLANGCI_LINT := bin/tools/golangci-lint-$(call tool_version,github.com/golangci/golangci-lint/v2)
CONTROLLER_GEN := bin/tools/controller-gen-$(call tool_version,sigs.k8s.io/controller-tools)

##@ Develop

.PHONY: help
help: ## Print the targets
	@awk 'BEGIN { FS = ":.*## "; print "usage: make TARGET" } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
.DEFAULT_GOAL := help

.PHONY: build
build: ## Build bin/kubectl-mojasec and bin/webhook, both static
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/ ./cmd/kubectl-mojasec ./cmd/webhook

.PHONY: generate
generate: $(CONTROLLER_GEN) ## Write deepcopy, CRDs and docs anew
	$(CONTROLLER_GEN) object crd paths=./pkg/api/... output:crd:dir=bin/crds
	rm -f manifests/crds/mojasec.io_*.yaml && mv bin/crds/*.yaml manifests/crds/
	go generate ./...

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the Go files
	$(GOLANGCI_LINT) fmt

.PHONY: clean
clean: ## Remove what was built, except the tools
	rm -rf bin/kubectl-mojasec bin/webhook bin/crds bin/test*.log dist

##@ Check

.PHONY: test
test: ## Run the tests, with the race detector and in random order
	@mkdir -p bin
	go test -race -shuffle=on $(PKGS) | tee bin/test.log
	@awk '/^ok / && !/no tests to run/ { ran = 1 } END { exit !ran }' bin/test.log || \
	  { echo 'make test: no test ran' >&2; exit 1; }

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Run golangci-lint
	$(GOLANGCI_LINT) run $(PKGS)

.PHONY: verify-generated
verify-generated: ## Fail when make generate changes a file
	hack/verify-generated

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME
	FUZZTIME=$(FUZZTIME) hack/fuzz $(PKGS)

.PHONY: bench
bench: build ## Run the benchmarks
	go test -run='^$$' -bench=. -benchmem $(PKGS)
	$(if $(wildcard test/bench),go run ./test/bench)

##@ Mojaloop

.PHONY: test-interop
test-interop: ## Compare with Mojaloop's own JavaScript: needs Node.js 20
	@FUZZTIME=$(FUZZTIME) hack/test-interop

##@ Cluster

.PHONY: controlplane
controlplane: ## Build the Kubernetes that tests run on: 12 minutes, once
	go run ./test/controlplane/cmd/controlplane build

.PHONY: up
up: ## Start it and print the shell commands that use it
	@go run ./test/controlplane/cmd/controlplane up --detach

.PHONY: down
down: ## Stop it
	@go run ./test/controlplane/cmd/controlplane down

.PHONY: test-cluster
test-cluster: ## Run the tests on it, or on the cluster of KUBECONFIG
	@mkdir -p bin
	MOJASEC_CLUSTER=1 go test -count=1 -timeout=30m -p=2 -v -skip='^TestIstio$$' $(CLUSTER_TESTS) >bin/test-cluster.log 2>&1 || \
	  { grep -vE '^ *(=== |--- (PASS|SKIP))' bin/test-cluster.log; exit 1; }
	@grep -E '^(ok|---.*SKIP)' bin/test-cluster.log
	@grep -q '^--- PASS: TestWaysAround' bin/test-cluster.log || \
	  { echo 'make test-cluster: no test ran' >&2; exit 1; }

.PHONY: test-istio
test-istio: ## Run the tests beside the real istiod: builds it once, 10 minutes
	@mkdir -p bin
	go run ./test/controlplane/cmd/controlplane build --istio
	MOJASEC_CLUSTER=1 MOJASEC_ISTIO=1 go test -count=1 -timeout=20m -run='^TestIstio$$' ./test/controlplane
	MOJASEC_CLUSTER=1 MOJASEC_ISTIO=1 go test -count=1 -timeout=20m -v ./test/istio/... >bin/test-istio.log 2>&1 || \
	  { grep -vE '^ *(=== |--- (PASS|SKIP))' bin/test-istio.log; exit 1; }
	@grep -E '^(ok|--- )' bin/test-istio.log
	@grep -q '^--- PASS: TestHardCase24' bin/test-istio.log || \
	  { echo 'make test-istio: no test ran' >&2; exit 1; }

.PHONY: soak
soak: ## Run for long: a million reviews, large clusters, rotations (20 minutes)
	@mkdir -p bin
	MOJASEC_CLUSTER=1 MOJASEC_SOAK=full go test -count=1 -timeout=90m -v ./test/soak/... | tee bin/soak.log

.PHONY: demo
demo: ## Show mojasec at work: a hub, eight DFSPs, and attacks on them
	@hack/demo

.PHONY: demo-down
demo-down: ## Stop what demo started
	@hack/demo --down

# Binaries are named by version, so they are never stale.
$(GOLANGCI_LINT):
	go build -C tools -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(CONTROLLER_GEN):
	go build -C tools -o ../$@ sigs.k8s.io/controller-tools/cmd/controller-gen
