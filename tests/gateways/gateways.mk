# The S3 conformance kit, the smoke test and `moving` through every gateway, each in front of its emulator:
# `make test-gateways [ONLY_GATEWAYS="local 'aws(moto)'"]`. Reports are left in build/gateways.

ONLY_GATEWAYS ?=

.PHONY: test-gateways
test-gateways: $(VENV)/.development emulators
	$(BIN)/python tests/gateways/matrix.py $(ONLY_GATEWAYS)
