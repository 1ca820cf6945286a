# Servers that are killed, and power that is cut, as often as one likes; `make test` does a little of both.

ROUNDS ?= 500
CUTS ?= 500

.PHONY: crash
crash: $(VENV)/.development
	$(BIN)/python tests/durability/crashes.py --rounds $(ROUNDS)
	$(BIN)/python tests/durability/recording.py --cuts $(CUTS)
