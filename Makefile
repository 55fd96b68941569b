# Plain `make` lists the targets. Each target sets up what it needs, and only what is missing:
# `run` needs Python 3.11 alone, `check` the tools that look at the code, `test` everything.

ARGS ?=

.DEFAULT_GOAL := list
ifneq ($(ORDER),any)
.NOTPARALLEL:
endif
.SUFFIXES:
.PHONY: list setup setup-run setup-check setup-test setup-conformance setup-suites run test \
	packages packages-ceph packages-boot inputs boot-disk \
	test-boot test-ceph test-quick test-conformance test-faults test-fuzzing test-stores test-clients test-benches test-torture check format bench lock audit clean

list: ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1 @\2/p' Makefile | \
		while IFS=@ read -r target sentence; do printf '%-25s%s\n' "$$target" "$$sentence"; done

# Each of these takes one processor, or waits for the network. Packages of the distribution come one after the other.
ENVIRONMENTS := $(addprefix environment-,clients keystone barbican neutron glance swift simplestreams)
SIDE_BY_SIDE := --no-print-directory --jobs=3 ORDER=any

setup: ## Set up everything that run, check and the tests need
	@$(MAKE) $(SIDE_BY_SIDE) setup-check inputs $(ENVIRONMENTS) environment-conformance

setup-test:
	@$(MAKE) $(SIDE_BY_SIDE) setup-check inputs $(ENVIRONMENTS)

setup-conformance:
	@$(MAKE) $(SIDE_BY_SIDE) setup-check environment-keystone environment-conformance

setup-suites: # of .ci/run
	@$(MAKE) $(SIDE_BY_SIDE) setup-check boot-disk inputs $(ENVIRONMENTS) environment-conformance

setup-run:
	@tools/virtual_environment.sh .venv requirements/run.txt --with-headwater

setup-check: setup-run
	@tools/virtual_environment.sh .venv requirements/test.txt

$(ENVIRONMENTS) environment-conformance: environment-%:
	@tools/virtual_environment.sh .venv-$* requirements/$*.txt

packages:
	@tools/debian_packages.sh

inputs: packages
	@tools/test_inputs.sh

packages-ceph: packages
	@tools/ceph_packages.sh

packages-boot: packages-ceph
	@tools/boot_packages.sh

boot-disk: packages-boot
	@tools/boot_image.sh

run: setup-run ## Start the whole service on loopback, data in ./data (ARGS="--workers 2")
	@tools/run.sh $(ARGS)

# What is long by nature is a suite by name, and `make test` leaves it out: no test is in two suites, and none in no
# suite (tests/unit/suites/test_suites.py).
FAULTS := tests/faults tests/torture tests/functional/images/imports/test_import_crashes.py tests/functional/images/retention/test_deletion_crashes.py \
	tests/functional/jobs/test_job_kills.py
FUZZING := tests/fuzzing
BENCHES := tests/functional/in_short/test_bench_smoke.py
STORES := tests/contracts/stores/test_remote_stores.py tests/functional/stores/test_s3_store.py tests/functional/stores/test_swift_store.py
CLIENTS := tests/beside_nova tests/functional/images/clients tests/functional/images/cache/test_image_cache_clients.py \
	tests/functional/images/imports/test_import_clients.py tests/functional/images/locations/test_location_clients.py \
	tests/functional/client/test_real_glance.py tests/functional/instances/callers/test_neutron.py \
	tests/functional/instances/guests/test_cloudbase_init.py tests/functional/instances/guests/test_ds_identify.py tests/functional/instances/guests/test_instances_cloud_init.py \
	tests/functional/instances/guests/test_systemd_imdsd.py \
	tests/functional/streams/test_image_clients.py tests/functional/streams/test_streams_consumers.py \
	tests/functional/streams/test_systemd_pull.py
# Python keeps what it has compiled: otherwise each process would compile all tests, with their assertions, for itself.
PYTEST := env --unset=PYTHONDONTWRITEBYTECODE .venv/bin/python -m pytest

test: setup-test ## Pass the quick tests, several side by side (ARGS="-k words", ARGS="-n 0" for one by one)
	@$(PYTEST) --numprocesses=auto $(addprefix --ignore=,$(FAULTS) $(FUZZING) $(BENCHES) $(STORES) $(CLIENTS) tests/ceph tests/boot) $(ARGS)

test-faults: setup-test ## Kill the service, its jobs, upgrades and databases in the middle of what they do
	@$(PYTEST) --numprocesses=auto $(FAULTS) $(ARGS)

test-fuzzing: setup-test ## Send requests made up from the OpenAPI document (HEADWATER_FUZZ_SECONDS=600 for longer)
	@$(PYTEST) --numprocesses=auto $(FUZZING) $(ARGS)

test-stores: setup-test ## Pass the tests of S3 and Swift stores, on a real Swift
	@$(PYTEST) --numprocesses=auto $(STORES) $(ARGS)

test-clients: setup-test ## Pass the tests in which programs that others wrote are the clients and the guests
	@$(PYTEST) --numprocesses=auto $(CLIENTS) $(ARGS)

test-benches: setup-test ## Pass the tests of `make bench`, which measure everything once
	@$(PYTEST) --numprocesses=0 $(BENCHES) $(ARGS)

test-ceph: setup-check ## Pass the tests that run on a real Ceph, which this installs and starts
	@tools/ceph_packages.sh
	@tools/test_ceph.sh tests/ceph $(ARGS)

test-boot: setup-test ## Boot a machine from an image: it learns who it is, from the metadata and from a config drive
	@tools/boot_packages.sh
	@tools/boot_image.sh
	@$(PYTEST) --numprocesses=2 tests/boot $(ARGS)

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
	@tools/virtual_environment.sh .venv-simplestreams requirements/simplestreams.txt
	@tools/debian_packages.sh
	@.venv/bin/python tools/bench.py $(ARGS)

lock: setup-check ## Write requirements/*.txt anew from *.in (ARGS="--upgrade" takes newer versions)
	@tools/lock.sh $(ARGS)

audit: ## Look the locked packages up for known vulnerabilities (ARGS="run test" names the lock files)
	@tools/virtual_environment.sh .venv-audit requirements/audit.txt
	@.venv-audit/bin/python tools/audit.py $(ARGS)

clean: ## Remove all that these targets made, except the data of `make run`
	@tools/clean.sh
