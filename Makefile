# SPDX-License-Identifier: Apache-2.0
# One name per task. `make test` is what CI runs: the sum of the named checks below, each also callable alone.
NODE ?= node
BIN := node_modules/.bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench generate reference format lint types layers docs words generated bpf c-programs shell unit faults e2e tests node24 explore down kernels kind kind-full kind-images kind-down kube-proxy lab-faults drills leaks leaks-check kubelet-probes conformance round-trip truth-tables

help:
	@echo 'make demo      two clusters, one global Service, ten faults; sets everything up first'
	@echo 'make test      everything CI runs: make check tests, and make node24 beside the e2e tests'
	@echo 'make tests     make unit faults e2e, with one total'
	@echo 'make check     format lint shell types layers docs words generated bpf c-programs'
	@echo 'make bench     the figures'
	@echo 'make kernels   the program tests on Linux 6.1, 6.12 and the newest, emulated: one to two hours'
	@echo 'make kind      deploy/kind with podman and images made on the spot: two kind clusters, demo, down'
	@echo 'make kube-proxy  the real kube-proxy beside agents in mode packets, in a lab'
	@echo 'make lab-faults  each fault of a lab by real traffic; needs a machine with nothing else to do'
	@echo 'make drills    each fault twenty times in one lab: the median and the worst of what it cost; some hours'
	@echo 'make leaks     policies, labels, pods and agents change while clients try all the time: MINUTES=5 in a lab'
	@echo 'make leaks-check  breaks a mesh on purpose in several ways, each of which make leaks must find; BROKEN=NAME for one'
	@echo 'make kubelet-probes  pods under a policy without rules stay healthy for a minute while their agent is killed'
	@echo 'make conformance  Kubernetes'"'"' own end-to-end specs of FOCUS=NetworkPolicy in a lab; ONLY=PATTERN for some; half an hour'
	@echo 'make truth-tables  each feature of policies by real connections between pods of two clusters; 5 to 10 minutes'
	@echo 'make round-trip  10,000 connects to backends 150 ms away: none is moved; about a minute'
	@echo 'make explore   tests of random histories, twenty times as far: about 10 minutes'
	@echo 'make generate  code from proto/ and from the headers of bpf/, and docs/reference from the code'
	@echo 'make setup     Debian packages, npm ci, builds, Kubernetes; skips what is done'
	@echo 'make down      removes every lab of this machine'

# Not root, not Linux, kernel too old, no BTF, no bpffs: one sentence, exit 2 (make itself says "Error 2").
setup:
	@$(NODE) tools/setup/setup.mjs

demo: setup
	@$(NODE) rig/demo/dist/main.js

bench: setup
	@$(NODE) rig/bench/dist/main.js

kernels: setup
	@$(NODE) tools/kernels/run.mjs

kind: setup
	@$(NODE) tools/kind/run.mjs

kind-full: setup
	@$(NODE) tools/kind/run.mjs full

kind-images: setup
	@$(NODE) tools/kind/run.mjs images

kind-down:
	@$(NODE) tools/kind/run.mjs down

kube-proxy: setup
	@$(NODE) rig/lab/dist/kube-binaries/main.js kube-proxy
	$(NODE) --test --test-timeout 600000 test/dist/kube-proxy.manual.js

lab-faults: setup
	$(NODE) --test --test-timeout 600000 rig/lab/dist/lab-faults.manual.js

drills: setup
	@$(NODE) rig/drills/dist/main.js

# SEED repeats the changes of a run.
MINUTES ?= 5
leaks: setup
	@$(NODE) test/dist/leaks/main.js --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

BROKEN ?= all
leaks-check: setup
	@$(NODE) test/dist/leaks/main.js --broken $(BROKEN)

kubelet-probes: types
	MESH_PROBED_SECONDS=60 $(NODE) --test --test-timeout 600000 --test-name-pattern "kubelet's probes" test/dist/packets.e2e.test.js

# FOCUS is a part of the suite, ONLY a pattern of names of its specs. A run of all of them writes docs/conformance.md.
FOCUS ?= NetworkPolicy
conformance: setup
	@$(NODE) rig/conformance/dist/main.js --focus '$(FOCUS)' $(if $(ONLY),--only '$(ONLY)',--write)

truth-tables: setup
	$(NODE) --test --test-timeout 1800000 test/dist/policy-truth.manual.js

round-trip: types
	MESH_ROUND_TRIPS=10000 $(NODE) --test --test-timeout 600000 libs/bpf/dist/round-trip.test.js

down:
	@$(NODE) rig/lab/dist/main.js down --all

test: setup check
	$(NODE) tools/test/run.mjs base e2e --node24

check: format lint shell types layers docs words generated bpf c-programs

format:
	$(BIN)/biome format .

lint:
	$(BIN)/biome lint --error-on-warnings .

shell:
	shellcheck $(wildcard rig/lab/native/*.sh deploy/kind/*.sh tools/kernels/*.sh tools/kind/*.sh)

types:
	$(BIN)/tsc -b

layers: types
	$(NODE) tools/checks/dist/main.js layers

docs: types
	$(NODE) tools/checks/dist/main.js docs
	$(NODE) tools/reference/dist/main.js

words: types
	$(NODE) tools/checks/dist/main.js words

generate:
	npm run -s -w @isthmus/proto generate
	npm run -s -w @isthmus/bpf generate
	$(MAKE) -s reference

reference: types
	$(NODE) tools/reference/dist/main.js --write

generated:
	$(NODE) tools/setup/generated.mjs

# Warnings are errors in both.
bpf:
	$(MAKE) -s -C bpf all check

c-programs:
	$(MAKE) -s -C apps/cni
	$(MAKE) -s -C rig/demo/image

unit: types
	$(NODE) tools/test/run.mjs unit

faults: types
	$(NODE) tools/test/run.mjs faults

e2e: types
	$(NODE) tools/test/run.mjs e2e

explore: types
	$(NODE) tools/test/run.mjs explore

tests: types
	$(NODE) tools/test/run.mjs base e2e

# The other line that users have: the units, and the addon that this machine's Node built.
node24: types
	@node24=$$($(NODE) tools/setup/node24.mjs) && $$node24 libs/bpf/dist/testing/smoke.js && $$node24 tools/test/run.mjs unit
