SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 30s
# Packages that test, bench and fuzz look at.
PKGS ?= ./...

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
build: ## Build bin/kubectl-mojasec
	go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/ ./cmd/kubectl-mojasec

.PHONY: generate
generate: $(CONTROLLER_GEN) ## Write deepcopy, CRDs and docs anew
	$(CONTROLLER_GEN) object crd paths=./pkg/api/... output:crd:dir=bin/crds
	rm -rf manifests/crds && mv bin/crds manifests/crds
	go generate ./...

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the Go files
	$(GOLANGCI_LINT) fmt

.PHONY: clean
clean: ## Remove what was built, except the tools
	rm -rf bin/kubectl-mojasec bin/crds bin/test.log dist

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

# Binaries are named by version, so they are never stale.
$(GOLANGCI_LINT):
	go build -C tools -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(CONTROLLER_GEN):
	go build -C tools -o ../$@ sigs.k8s.io/controller-tools/cmd/controller-gen
