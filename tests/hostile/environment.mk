# Fuzzing: atheris and schemathesis in an environment of their own, which has the server's code too.
# `make test` runs schemathesis for a minute; `make fuzz` runs every target, each for SECONDS.

HOSTILE := .tools/hostile
FUZZ_WORK := .tools/fuzz
SECONDS ?= 120
TARGETS ?= $(sort $(basename $(notdir $(wildcard tests/hostile/targets/*.py))))

$(HOSTILE)/.installed: tests/hostile/requirements.txt $(PROJECTS) | $(VENV)/.python
	$(PYTHON) -m venv --clear $(HOSTILE)
	$(HOSTILE)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	$(HOSTILE)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ./core
	@touch $@

.PHONY: hostile-tools fuzz
hostile-tools: $(HOSTILE)/.installed

# The first target that fails ends it; its input is in $(FUZZ_WORK).
fuzz: $(VENV)/.development hostile-tools
	for target in $(TARGETS); do \
		$(HOSTILE)/bin/python tests/hostile/fuzz.py $$target $(SECONDS) $(FUZZ_WORK) || exit 1; done
	BLEEPSTORE_FUZZ_SECONDS=$(SECONDS) $(BIN)/python -m pytest tests/hostile/test_openapi.py
