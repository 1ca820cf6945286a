# Programs of the system that tests drive: a real browser with its driver, a real reverse proxy,
# and a load generator for benchmarks.
# Each is started as .tools/system/bin/NAME.
#
# On Debian they are unpacked below .tools/system with what they need and the machine lacks. Nobody
# needs to be root, nothing of the system is changed, and its own package lists need not be fresh. The
# versions are those that Debian has now (it keeps no older ones); .tools/system/versions names them.
# On other systems they must be on the PATH, as `chromium`, `chromedriver`, `nginx` and `wrk`.

SYSTEM := .tools/system
SYSTEM_PACKAGES := chromium chromium-driver nginx wrk
SYSTEM_PROGRAMS := usr/lib/chromium/chromium usr/bin/chromedriver usr/sbin/nginx usr/bin/wrk
ROOT_OF_SYSTEM := $(CURDIR)/$(SYSTEM)
APT := apt-get -qq -o Dir::State::Lists=$(ROOT_OF_SYSTEM)/apt/lists -o Dir::Cache=$(ROOT_OF_SYSTEM)/apt/cache \
	-o APT::Sandbox::User= -o Debug::NoLocking=1

.PHONY: system-tools .unpacked .linked
system-tools: $(SYSTEM)/.installed

$(SYSTEM)/.installed: tests/system.mk
	rm -rf $(SYSTEM) && mkdir -p $(SYSTEM)/bin
	@$(MAKE) --no-print-directory $$(command -v apt-get >/dev/null && echo .unpacked || echo .linked)
	@touch $@

.unpacked:
	mkdir -p $(SYSTEM)/apt/lists/partial $(SYSTEM)/apt/cache/archives/partial $(SYSTEM)/apt/packages
	@$(APT) update
	@$(APT) install --simulate --reinstall --no-install-recommends $(SYSTEM_PACKAGES) > $(SYSTEM)/apt/plan
	cd $(SYSTEM)/apt/packages && $(APT) download $$(sed -n 's/^Inst \([^ ]*\) .*/\1/p' ../plan)
	@for package in $(SYSTEM)/apt/packages/*.deb; do \
		dpkg -x $$package $(SYSTEM) && dpkg-deb --show $$package >> $(SYSTEM)/versions || exit 1; done
	@rm -rf $(SYSTEM)/apt
	@libraries=$$(find $(ROOT_OF_SYSTEM)/usr/lib/*-linux-gnu* -name '*.so*' -printf '%h\n' | sort -u | paste -sd:); \
	for program in $(SYSTEM_PROGRAMS); do printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$$@"\n' \
		"$$libraries" "$(ROOT_OF_SYSTEM)/$$program" > $(SYSTEM)/bin/$${program##*/}; done
	@chmod +x $(SYSTEM)/bin/*

.linked:
	@for program in $(notdir $(SYSTEM_PROGRAMS)); do found=$$(command -v $$program) || \
		{ echo "tests need $$program on the PATH" >&2; exit 1; }; ln -s "$$found" $(SYSTEM)/bin; done
