# Benchmarks: BleepStore and its peers by turns, and the report in docs/benchmarks.
# `make bench` takes under 20 minutes, `make bench QUICK=1` about 3 and leaves its report in build/benchmarks.
# `make bench PEERS="--peer minio=http://127.0.0.1:9001,ACCESS,SECRET"` measures an endpoint that runs, too.

BENCH_PEERS := .tools/peers
BENCH := tests/performance
QUICK ?=
PEERS ?=

ifeq ($(QUICK),)
BENCH_OUTPUT := docs/benchmarks
BENCH_OPTIONS = --output $(BENCH_OUTPUT) $(PEERS)
else
BENCH_OUTPUT := build/benchmarks
BENCH_OPTIONS = --output $(BENCH_OUTPUT) --quick --seconds 1 $(PEERS) --servers bleepstore seaweedfs
endif

$(BENCH_PEERS)/.installed: $(BENCH)/peers.txt
	$(PYTHON) -m venv --clear $(BENCH_PEERS)
	$(BENCH_PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.PHONY: bench bench-peers
bench-peers: $(BENCH_PEERS)/.installed

bench: $(VENV)/.development system-tools bench-peers
ifeq ($(QUICK),)
	$(BIN)/python $(BENCH)/bench_throughput.py --seconds 1 $(BENCH_OPTIONS)
	$(BIN)/python $(BENCH)/bench_latency.py --seconds 2 $(BENCH_OPTIONS) --servers bleepstore bleepstore:2 seaweedfs
	$(BIN)/python $(BENCH)/bench_multipart.py $(BENCH_OPTIONS) --servers bleepstore seaweedfs rclone
	$(BIN)/python $(BENCH)/bench_listing.py --seconds 1 $(BENCH_OPTIONS) --servers bleepstore seaweedfs
	$(BIN)/python $(BENCH)/bench_startup.py --starts 4 $(BENCH_OPTIONS)
else
	$(BIN)/python $(BENCH)/bench_throughput.py $(BENCH_OPTIONS)
	$(BIN)/python $(BENCH)/bench_latency.py $(BENCH_OPTIONS) --clients 1 100 1000
	$(BIN)/python $(BENCH)/bench_multipart.py --size 256 $(BENCH_OPTIONS)
	$(BIN)/python $(BENCH)/bench_listing.py --keys 10000 50000 --peer-keys 10000 --fill-seconds 5 $(BENCH_OPTIONS)
	$(BIN)/python $(BENCH)/bench_startup.py --starts 2 $(BENCH_OPTIONS)
endif
	$(BIN)/python $(BENCH)/summary.py $(BENCH_OUTPUT)
