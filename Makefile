# Plain `make` lists the targets. Each target sets up what it needs, and only what is missing:
# `run` needs Python 3.11 alone, `check` the tools that look at the code, `test` everything.

ARGS ?=

.DEFAULT_GOAL := list
.NOTPARALLEL:
.SUFFIXES:
.PHONY: list setup setup-run setup-check setup-test setup-conformance run test \
	test-ceph test-quick test-conformance test-torture check format bench lock audit clean

list: ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1 @\2/p' Makefile | \
		while IFS=@ read -r target sentence; do printf '%-25s%s\n' "$$target" "$$sentence"; done

setup: setup-test setup-conformance ## Set up everything that run, check and the tests need

setup-test: setup-check
	@tools/virtual_environment.sh .venv-clients requirements/clients.txt
	@tools/virtual_environment.sh .venv-keystone requirements/keystone.txt
	@tools/virtual_environment.sh .venv-barbican requirements/barbican.txt
	@tools/virtual_environment.sh .venv-swift requirements/swift.txt
	@tools/debian_packages.sh
	@tools/test_inputs.sh

setup-conformance: setup-check
	@tools/virtual_environment.sh .venv-keystone requirements/keystone.txt
	@tools/virtual_environment.sh .venv-conformance requirements/conformance.txt

setup-run:
	@tools/virtual_environment.sh .venv requirements/run.txt --with-headwater

setup-check: setup-run
	@tools/virtual_environment.sh .venv requirements/test.txt

run: setup-run ## Start the whole service on loopback, data in ./data (ARGS="--workers 2")
	@tools/run.sh $(ARGS)

# Python keeps what it has compiled: otherwise each process would compile all tests, with their assertions, for itself.
test: setup-test ## Pass all tests, several side by side (ARGS="-k words", ARGS="-n 0" for one by one)
	@env --unset=PYTHONDONTWRITEBYTECODE .venv/bin/python -m pytest --numprocesses=auto --ignore=tests/ceph $(ARGS)

test-ceph: setup-check ## Pass the tests that run on a real Ceph, which this installs and starts
	@tools/ceph_packages.sh
	@tools/test_ceph.sh $(ARGS)

test-quick: setup-check ## Pass the unit tests and the tests of the documentation
	@tools/test_quick.sh $(ARGS)

test-conformance: setup-conformance ## Pass the tests of tempest and glance-tempest-plugin (docs/compatibility.md)
	@PYTHONPATH=tests .venv/bin/python -m conformance $(ARGS)

test-torture: setup-test ## Kill the service and its workers 300 times, and look at everything after each
	@HEADWATER_TORTURE_KILLS=300 .venv/bin/python -m pytest tests/torture $(ARGS)

check: setup-check ## Look at format, lint, types, imports and the files of the repository
	@tools/check.sh

format: setup-check ## Bring all code into its format
	@.venv/bin/ruff check --quiet --fix-only src tests tools
	@.venv/bin/ruff format --quiet src tests tools

bench: setup-check ## Measure upload, download, show, list, create and patch, and write bench-*.json
	@tools/virtual_environment.sh .venv-keystone requirements/keystone.txt
	@tools/virtual_environment.sh .venv-swift requirements/swift.txt
	@tools/debian_packages.sh
	@.venv/bin/python tools/bench.py $(ARGS)

lock: setup-check ## Write requirements/*.txt anew from *.in (ARGS="--upgrade" takes newer versions)
	@tools/lock.sh $(ARGS)

audit: ## Look the locked packages up for known vulnerabilities (ARGS="run test" names the lock files)
	@tools/virtual_environment.sh .venv-audit requirements/audit.txt
	@.venv-audit/bin/python tools/audit.py $(ARGS)

clean: ## Remove all that these targets made, except the data of `make run`
	@tools/clean.sh
