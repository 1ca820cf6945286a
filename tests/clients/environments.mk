# What the client matrix needs, each set of clients in a folder of its own below .tools/clients.
# Python clients: one environment for each tests/clients/requirements/NAME.txt, every version pinned.
# Other clients: a rule that ends by touching $(CLIENTS)/NAME/.installed, and its name in CLIENT_SETS.

CLIENTS := .tools/clients
PYTHON_CLIENT_SETS := $(patsubst tests/clients/requirements/%.txt,%,$(wildcard tests/clients/requirements/*.txt))
CLIENT_SETS := $(PYTHON_CLIENT_SETS)

$(CLIENTS)/%/.installed: tests/clients/requirements/%.txt
	$(PYTHON) -m venv --clear $(CLIENTS)/$*
	$(CLIENTS)/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# --- clients that are not Python packages -------------------------------------------------------

# ------------------------------------------------------------------------------------------------
CLIENT_ENVIRONMENTS = $(CLIENT_SETS:%=$(CLIENTS)/%/.installed)

.PHONY: client-environments test-clients
client-environments: $(CLIENT_ENVIRONMENTS)

test-clients: $(VENV)/.development client-environments
	$(BIN)/python -m pytest tests/clients -n 2 --dist loadfile
