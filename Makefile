# The interface to everything: build, run, test, bench, soak, fuzz.

GO       ?= go
GUESTS   := $(notdir $(wildcard plugins/guests/*))
WASM     := $(GUESTS:%=bin/guests/%.wasm)
GOFUMPT  := mvdan.cc/gofumpt@v0.9.2
STATIC   := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 2m
SOAKTIME ?= 30m

.PHONY: build run test lint unit bench rfc-peers soak fuzz clean programs

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

# Everything that CI runs. The fuzzers run for two seconds each, the soak test for twenty. The rules of HTTP come last, one line each.
test: lint build
	@.ci/need gcc gcc && .ci/need git git && .ci/need curl curl && .ci/need openssl openssl
	@.ci/need nginx nginx && .ci/need haproxy haproxy && .ci/need apache2 apache2
	CGO_ENABLED=1 $(GO) test -race -timeout 30m $$($(GO) list ./... | grep -v /e2e/rfc$$)
	CGO_ENABLED=1 $(GO) test -race -v -count=1 -timeout 20m ./gateway/e2e/rfc
	@.ci/fuzz 2s

lint:
	@files=$$($(GO) run $(GOFUMPT) -l cmd flags gateway plugins sdk); \
		if [ -n "$$files" ]; then echo "not formatted with gofumpt:"; echo "$$files"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATIC) ./...

# The peers and ours in one interleaved run, and what is measured alone. Needs a quiet machine.
bench: build
	@.ci/need nginx nginx && .ci/need haproxy haproxy && .ci/need /usr/lib/nginx/modules/ngx_http_lua_module.so libnginx-mod-http-lua
	$(GO) test -run '^$$' -bench 'Gate|Entry|Flip' -benchmem ./flags ./plugins
	bin/bench -assert
	bin/bench flip -assert
	bin/bench body -assert

# The rules of RFC 9110 and 9112, against Breakwater and against nginx, HAProxy and Apache: writes the comparison into gateway/README.md.
rfc-peers:
	@.ci/need nginx nginx && .ci/need haproxy haproxy && .ci/need apache2 apache2
	RFC_PEERS=1 $(GO) test -v -count=1 -run TestPeers -timeout 30m ./gateway/e2e/rfc

# Load with random faults, for as long as SOAKTIME, after every fault at every byte.
soak:
	@.ci/need gcc gcc
	CGO_ENABLED=1 FAULTS=all $(GO) test -race -run TestFault -v ./gateway/e2e
	CGO_ENABLED=1 SOAKTIME=$(SOAKTIME) $(GO) test -race -run TestSoak -v -timeout 0 ./gateway/e2e

# Every fuzz target, for FUZZTIME each.
fuzz:
	@.ci/fuzz $(FUZZTIME)

clean:
	rm -rf bin
