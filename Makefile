# The interface to everything: build, run, test, bench, soak, fuzz.

GO       ?= go
GUESTS   := $(notdir $(wildcard plugins/guests/*))
WASM     := $(GUESTS:%=bin/guests/%.wasm)
GOFUMPT  := mvdan.cc/gofumpt@v0.9.2
STATIC   := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 20s
SOAKTIME ?= 30m

.PHONY: build run test lint unit bench soak fuzz clean programs

build: programs $(WASM)

programs:
	$(GO) build -trimpath -o bin/ ./cmd/breakwater ./cmd/partnersim ./cmd/bench

# Guests are rebuilt by the go tool's own cache; nothing but the stock toolchain is needed.
.PHONY: $(WASM)
$(WASM): bin/guests/%.wasm:
	@mkdir -p bin/guests
	GOOS=wasip1 GOARCH=wasm $(GO) build -trimpath -buildmode=c-shared -ldflags='-s -w' -o $@ ./plugins/guests/$*

# The example: a simulated partner and a gateway before it, until Ctrl-C.
run: build
	@cmd/breakwater/example/run.sh

# Everything that CI runs.
test: lint build
	@.ci/need gcc gcc
	CGO_ENABLED=1 $(GO) test -race -timeout 20m ./...

lint:
	@files=$$($(GO) run $(GOFUMPT) -l cmd flags gateway plugins sdk); \
		if [ -n "$$files" ]; then echo "not formatted with gofumpt:"; echo "$$files"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATIC) ./...

bench: build
	$(GO) test -run '^$$' -bench . -benchmem ./flags ./plugins/... ./gateway/...
	bin/bench

clean:
	rm -rf bin
