# The S3 conformance kit, the smoke test and `moving` through every gateway, each in front of its emulator:
# `make test-gateways [ONLY_GATEWAYS="local 'aws(moto)'"]`. Reports are left in build/gateways.
# After all of them each cloud's gateway is killed GATEWAY_ROUNDS times, with one worker and with two.

ONLY_GATEWAYS ?=
GATEWAY_ROUNDS ?= 60

.PHONY: test-gateways
test-gateways: $(VENV)/.development emulators
	$(BIN)/python tests/gateways/matrix.py $(ONLY_GATEWAYS)
	$(if $(ONLY_GATEWAYS),,for backend in aws gcp azure; do \
		$(BIN)/python tests/durability/crashes.py --backend $$backend --rounds $(GATEWAY_ROUNDS) || exit 1; done)
