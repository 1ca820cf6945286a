# Servers that are killed, and power that is cut, as often as one likes; `make test` does a little of both.
# `make crash BACKEND=aws|gcp|azure`: a gateway is killed, in front of an emulator of that cloud.

BACKEND ?= local
ROUNDS ?= 500
CUTS ?= 500

.PHONY: crash
crash: $(VENV)/.development $(if $(filter local,$(BACKEND)),,emulators)
	$(BIN)/python tests/durability/crashes.py --backend '$(BACKEND)' --rounds $(ROUNDS)
	$(if $(filter local,$(BACKEND)),$(BIN)/python tests/durability/recording.py --cuts $(CUTS))
