# demo and test are the two commands of the README; test needs nothing but Go.
GO ?= go
BIN ?= bin/undersigned
FUZZTIME ?= 30s
FUZZED ?= ./...
# Long tests of one goroutine, in which no race can be.
PLAIN = TestTales|TestHonestTales|TestBounded$$|TestReserved|TestBits$$|TestMultiples|TestHashReader|TestHistories|TestContradictTrees|TestContradictionFlipped|TestAgainstBroughtBesideALongRow|TestAsOfLong|TestRollReceiptFlips|TestReceiptBitFlips|TestAgainstLateInTheAlphabet|TestOtherProtocolsNeverCount|TestEveryFieldSwapped|TestMemory$$|TestListsAreThoseOfTheFold|TestLongListInPages|TestNothingIsMarkup|TestHostileServer|TestRestoreDamaged|TestCheckBits|TestFaults|TestAppendOnly|TestPages|TestMirrorCatchesUp|TestFollowCrashes|TestRanking|TestBounds$$|TestCompare$$|TestCheckLastSigned
COSIGN = github.com/sigstore/cosign/v2/cmd/cosign@v2.6.5
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.7.0

BUILT = ledger/server/assets/built
# Tests that start programs, which there are none of in a browser.
NOTINWASM = TestImports|TestTablesAreGenerated|TestSSHKeygenTakesOurs
# Without inlining the verifier is an eighth smaller. What checks signatures is inlined all the same: it would take three times as long. Where
# its time goes, cmd/undersigned-wasm/default.pgo tells the compiler (docs/verifier.md).
FAST = math/bits internal/byteorder crypto/internal/fips140deps/byteorder crypto/internal/fips140/edwards25519/... crypto/internal/fips140/nistec/... \
  crypto/internal/fips140/sha256 crypto/internal/fips140/sha512 crypto/internal/fips140/sha3 filippo.io/edwards25519/... filippo.io/mldsa/internal/fips140/mldsa
WASMFLAGS = -buildvcs=false -trimpath -gcflags=all=-l $(FAST:%=-gcflags=%=) -ldflags '-s -w -buildid='

.PHONY: demo test check build bench wasm wasm-test wasm-again browser browser-tools browser-bench fuzz mutants vectors cover frozen torture sabotage interop cosign

demo: wasm
	$(GO) build -o $(BIN) ./cmd/undersigned
	$(BIN) demo

test:
	$(GO) test -shuffle=on -timeout 30m ./...

build: wasm
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(BIN) ./cmd/undersigned

# How fast it is, beside a server on Tessera's library; docs/performance.md. It takes a quarter of an hour and 3 GB in BENCHDIR, on the disk that is to be measured.
BENCHDIR ?= $(or $(TMPDIR),/tmp)
bench: build
	cd testdata/tessera && CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(CURDIR)/bin/tessera .
	$(BIN) bench --against $(CURDIR)/bin/tessera $(BENCHFLAGS) $(BENCHDIR)

# The verifier for browsers, packed: the first time takes a minute.
wasm: $(BUILT)/undersigned.wasm.br

$(BUILT)/undersigned.wasm.br: $(shell find keys verify cmd/undersigned-wasm ledger/server/assets/pack -name '*.go' -not -name '*_test.go') cmd/undersigned-wasm/default.pgo go.mod go.sum Makefile
	GOOS=js GOARCH=wasm $(GO) build $(WASMFLAGS) -o bin/undersigned.wasm ./cmd/undersigned-wasm
	$(GO) run ./ledger/server/assets/pack bin/undersigned.wasm "$$($(GO) env GOROOT)/lib/wasm/wasm_exec.js" $(BUILT)
	@touch $@

# The tests of what the verifier is made of, as it is compiled for browsers, in node: all bad receipts. It takes long.
WASMTESTS ?= ./keys ./keys/dnssec ./keys/unicode15 ./verify ./verify/entry ./verify/roll ./verify/wording ./verify/check
TESTWASM = GOOS=js GOARCH=wasm $(GO) test -timeout 60m $(TESTFLAGS) -exec "$$($(GO) env GOROOT)/lib/wasm/go_js_wasm_exec" -gcflags=all=-l $(FAST:%=-gcflags=%=) \
  -pgo=$(CURDIR)/cmd/undersigned-wasm/default.pgo -skip '$(NOTINWASM)'
wasm-test:
	$(TESTWASM) $(WASMTESTS)

# Compiles and packs the verifier again, from nothing, and wants the same bytes.
wasm-again: wasm
	rm -rf bin/again && mkdir -p bin/again/from bin/again/made
	git ls-files -z keys verify cmd/undersigned-wasm ledger/server/assets/pack testdata/tccm go.mod go.sum | xargs -0 cp --parents -t bin/again/from
	cd bin/again/from && GOCACHE=$(CURDIR)/bin/again/cache GOOS=js GOARCH=wasm $(GO) build $(WASMFLAGS) -o ../undersigned.wasm ./cmd/undersigned-wasm
	$(GO) run ./ledger/server/assets/pack bin/again/undersigned.wasm "$$($(GO) env GOROOT)/lib/wasm/wasm_exec.js" bin/again/made
	for f in undersigned.wasm.br undersigned.wasm.gz wasm_exec.js; do cmp bin/again/made/$$f $(BUILT)/$$f || exit 1; done
	chmod -R u+w bin/again && rm -rf bin/again

# What the tests in a browser need beside node, npm and chromium; see testdata/browser.
browser-tools:
	cd testdata/browser && npm ci --ignore-scripts --no-audit --no-fund

# Every screen and every attack in a browser, in every way; make test takes a part of them.
browser: wasm
	UNDERSIGNED_BROWSER=full $(GO) test ./cmd/undersigned -run TestBrowser -count=1 -v

# Sizes, and how long a browser takes from loading a page to a verdict, and for 10,000 entries.
browser-bench: wasm
	UNDERSIGNED_BROWSER_BENCH=1 $(GO) test ./cmd/undersigned -run TestBrowser/bench -count=1 -v

# What CI checks beside the tests.
check:
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "not gofmt-clean:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff
	$(GO) mod verify
	GOOS=js GOARCH=wasm $(GO) vet ./cmd/undersigned-wasm
	GOOS=windows $(GO) build -o /dev/null ./cmd/undersigned
	GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/undersigned
	GOARCH=386 $(GO) vet ./verify/... ./keys/...
	cd torture && $(GO) vet ./... && $(GO) run $(STATICCHECK) ./... && $(GO) mod tidy -diff && $(GO) test ./...
	$(GO) test -race -short -skip '$(PLAIN)' ./keys ./verify/... ./ledger/...

# Wycheproof (109 MB) and the RFC 6962 proof vectors, in a module of their own: as the program is compiled, and as browsers' verifier is.
vectors:
	cd testdata/vectors && $(GO) test ./...
	cd testdata/vectors && WYCHEPROOF="$$($(GO) list -f '{{.Module.Dir}}' github.com/c2sp/wycheproof)" \
	  MERKLE="$$(cd proofs && $(GO) list -f '{{.Module.Dir}}' github.com/transparency-dev/merkle/proof)" $(TESTWASM) ./...

# Against other implementations, in modules of their own: transparency-dev/formats, golang.org/x/mod, and filippo.io/torchwood's witness; and the server
# on Tessera's library that ours is compared with.
interop:
	cd testdata/interop && $(GO) vet ./... && $(GO) mod tidy -diff && $(GO) test ./...
	cd testdata/tessera && $(GO) vet ./... && $(GO) mod tidy -diff && $(GO) test ./...

# cosign signs for real: it is built from the module proxy, four minutes of two idle cores when nothing is cached, and its page is run.
cosign:
	GOBIN=$(CURDIR)/bin/tools CGO_ENABLED=0 $(GO) install -trimpath $(COSIGN)
	PATH="$(CURDIR)/bin/tools:$$PATH" UNDERSIGNED_NO_SKIP=1 $(GO) test ./cmd/undersigned -run TestKeyPages/signing/cosign

# Every fuzz target of every package, FUZZTIME each; one compilation for each package. Go may tell the end of that time as a failure, "context deadline exceeded"; so what fails is run once more: a finding was written down, and fails again.
fuzz:
	@set -e; root=$$PWD; cache=$$($(GO) env GOCACHE)/fuzz; mkdir -p bin; for p in $$($(GO) list $(FUZZED)); do \
	  cd $$($(GO) list -f '{{.Dir}}' $$p); grep -qs '^func Fuzz' *_test.go || { cd $$root; continue; }; \
	  $(GO) test -c -fuzz=. -o $$root/bin/fuzz.test .; \
	  for f in $$($$root/bin/fuzz.test -test.list '^Fuzz'); do \
	    echo "$$p $$f"; run="$$root/bin/fuzz.test -test.run ^$$ -test.fuzz ^$$f$$ -test.fuzztime $(FUZZTIME) -test.fuzzminimizetime 10x -test.fuzzcachedir $$cache/$$p"; \
	    $$run || $$run; done; cd $$root; done; rm -f bin/fuzz.test

# Half a million mutated chains of DNSSEC signatures, and every bit of good ones flipped: no other key, no panic; prints the slowest.
mutants:
	$(GO) test ./keys/dnssec -count=1 -timeout 60m -v -run 'TestMutants|TestOneForm' -args -mutants 500000

cover:
	$(GO) test -coverprofile=cover.out ./keys ./keys/dnssec ./verify ./verify/entry ./verify/roll ./verify/wording && $(GO) tool cover -func=cover.out | tail -1

# Makes testdata/tccm/archive.zip and policy.txt anew: fixed keys, fixed clock, the same bytes each time.
frozen:
	$(GO) test ./cmd/undersigned -run TestFrozenRecord -freeze

# docs/torture.md says what this does to a ledger. FULL=1 takes hours.
torture:
	cd torture && $(GO) run . $(if $(FULL),-full)

# Each defence switched off once: a test or a part of the torture must catch it.
sabotage:
	cd torture && $(GO) run . -sabotage all
