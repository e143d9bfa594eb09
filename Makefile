# Proofmark. `make demo` shows the main job, `make test` proves it.
SHELL := /bin/bash
GO    ?= go
BIN   := bin/proofmark

# Arithmetic that shares nothing takes ten times as long under the race detector: elsewhere it runs without, and the galleries are raced by themselves.
PLAIN = $(foreach p,correlate correlate/bullet correlate/shear correlate/synth correlate/exact correlate/x3p,-gcflags=proofmark/$(p)=-race=false)

# Under the race detector tests take ten times as long. `make test` runs the exchange with it, and of the other parts what happens at the same time in them; everything
# else once without. `make race` spares nothing.
CROWDED = AtOnce|Kill|Busy|Beside|Folded|Moment|Prepare|Straight|Urgent|Together|Resume|Automatic|Cosign|Prove|Transfers|Ticks|Cancel|Rotate|CrossesBorder|BothSidesFind|Snapshot|Purged|Reached

# Their packages: the others would be built for nothing.
RACED = $$(grep -rlE '^func Test[A-Za-z0-9_]*($(CROWDED))' --include='*_test.go' store node | xargs -n 1 dirname | sort -u | grep -vx node/exchange | sed 's,^,./,')

# A program under the race detector sleeps for a second before it exits, and these tests run hundreds. It says what it found before that.
QUICK = GORACE=atexit_sleep_ms=20

# Tests of nodes wait for each other most of their time: more of them at once than there are cores.
WAITING = -parallel 4

.PHONY: race all build demo test soak portable bench bench-exchange bench-audit lint fuzz clean help

all: build

help: ## say what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: ## one static binary in bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(BIN) ./cmd/proofmark

demo: build ## three bureaus on this machine do the main job; Ctrl-C ends it
	@$(BIN) demo $(DEMO)

test: ## every test, and what happens at the same time once more under the race detector
	@scripts/need-gcc
	@scripts/need-xmllint
	$(GO) vet ./...
	$(GO) test -vet=off $(WAITING) -timeout 14m $$($(GO) list ./... | grep -vx proofmark/node/exchange)
	@scripts/portable
	@GO=$(GO) scripts/soak 1
	@GO=$(GO) scripts/networks
	$(QUICK) CGO_ENABLED=1 $(GO) test -race -vet=off $(PLAIN) $(WAITING) -timeout 14m ./node/exchange
	$(QUICK) CGO_ENABLED=1 $(GO) test -race -vet=off $(PLAIN) -timeout 14m -run '$(CROWDED)' $(RACED)
	$(QUICK) CGO_ENABLED=1 $(GO) test -race -vet=off -run 'AtOnce|Cores|ChangesWhile|Cancelled' ./correlate ./correlate/bullet ./correlate/shear

race: ## everything but the command line and the calculations, and their galleries, under the race detector: before a release
	CGO_ENABLED=1 $(GO) test -race $(PLAIN) -timeout 60m ./crypto/... ./policy/... ./protocol/... ./store/... ./node/...
	CGO_ENABLED=1 $(GO) test -race -run 'Gallery|Snapshot' ./correlate ./correlate/bullet ./correlate/shear

soak: ## MINUTES (10) of kills, cuts, tampering, full disks and wrong clocks; then both ends of each channel are compared
	@GO=$(GO) scripts/soak $(or $(MINUTES),10) $(or $(SEED),0) $(or $(NODES),5)

portable: ## the same bits on amd64 v1 and v3, 386 and arm64 (qemu): scan, signature, score
	@scripts/portable

bench: ## every benchmark, with allocations; BENCH=regexp and TIME=1s choose
	$(GO) test -run '^$$' -bench '$(or $(BENCH),.)' -benchtime $(or $(TIME),1s) -benchmem ./...

bench-exchange: ## deliveries between two processes, beside NATS JetStream (fetched for it); ARGS go to the program
	cd bench/exchange && $(GO) build -mod=mod -o ../../bin/bench-exchange . && ../../bin/bench-exchange $(ARGS)

bench-audit: ## synced appends to the audit log, beside Tessera's POSIX driver (fetched for it); ARGS='-large 1000000' measures a large log
	cd bench/tessera && $(GO) build -mod=mod -o ../../bin/bench-audit . && ../../bin/bench-audit $(ARGS)

lint: ## go vet, gofmt, staticcheck and govulncheck, the last two where they can be had
	@scripts/lint

fuzz: ## every fuzz target, or those that FUZZ=regexp names, FUZZTIME each (20s); JOBS at once, KEEP=n keeps inputs
	@scripts/fuzz $(or $(FUZZTIME),20s) $(FUZZ)

clean: ## remove what was built
	rm -rf bin
