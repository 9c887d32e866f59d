# QuantPype. `make run` and `make test` do all set-up themselves; a Swift toolchain is the only thing assumed.
#
#   make run                      build, then trade a simulated market until Ctrl-C
#   make run FEED=<recording>     replay a recording to its end and print a summary (PACE=1x, 10x, max; default max)
#   make test                     every test
#   make bench                    latency and throughput beside bare libzmq, durability and approvals, spawn to ready
#   make bench-supervision        this supervisor beside runit, s6 and supervisord
#   make test-cgroups             the tests of limits and trees on cgroup v2 alone, in a user-mode Linux
#   make test-systemd             the README's unit under systemd in a user-mode Linux
#   make soak                     a million simulated fault histories of the supervisor's core
#   make soak-wires               200,000 simulated fault histories of durable wires
#   make soak-orders              the order path under kill -9 and SIGSTOP (QP_STORM_SEED, _PROPOSALS, _KILLS, _ZOMBIES)
#   make model                    the protocol of durable wires in a model checker
#   make lint | format | proto | clean | deps | build

SHELL := /bin/bash
.DEFAULT_GOAL := build
.PHONY: run test build bench bench-supervision test-cgroups test-systemd soak soak-wires soak-orders model lint format proto clean deps

# Colours or none, as the terminal has it, would be another build to SwiftPM, and make everything anew.
SWIFT_BUILD := swift build --no-color-diagnostics
# Static Swift runtime: starts four times as fast, and runs where no Swift is installed. Stripped: half the size.
RELEASE := -c release --static-swift-stdlib -Xswiftc -use-ld=lld -Xlinker -s
CONFIG ?= supervisor.json
FEED ?=
PACE ?=

deps:
	@.ci/deps

build: deps
	QP_STATIC=1 $(SWIFT_BUILD) $(RELEASE)

run: build
ifeq ($(strip $(FEED)),)
	.build/release/supervisor --config $(CONFIG)
else
	FEED="$(abspath $(FEED))" PACE="$(PACE)" .build/release/supervisor --config $(CONFIG) --until-idle
endif

# The end-to-end tests start whole fleets; one at a time, so that none starves another.
test: deps
	$(SWIFT_BUILD) --build-tests
	swift test --skip-build --disable-xctest --skip EndToEndTests
	swift test --skip-build --disable-xctest --filter EndToEndTests --no-parallel

# For machines whose controllers are on v1: boots a user-mode Linux on this file system. Needs root.
test-cgroups: deps
	$(SWIFT_BUILD) --build-tests
	@.ci/deps user-mode-linux iproute2
	.ci/test-cgroups

# The README's unit, killed and hung, in a Debian of its own under .build (downloads 100 MB once). Needs root.
test-systemd: build
	@.ci/deps user-mode-linux debootstrap
	.ci/test-systemd

bench: build
	.build/release/bench

# This supervisor beside runit, s6 and supervisord; takes some minutes and wants a quiet machine. ONLY="restart this" measures less:
# restart, storm, idle, crash-loop, fork-bomb, hang, adoption; this, runit, s6, supervisord.
bench-supervision: build
	@.ci/deps runit s6 supervisor
	.build/release/bench supervision $(ONLY)

# A million simulated histories of a fleet; a failing seed prints the command that replays it.
soak: deps
	QP_SIM_SCHEDULES=1000000 swift test -c release -Xswiftc -enable-testing --scratch-path .build-soak --disable-xctest \
		--filter FleetSimulationTests

# 200,000 proposals through the real processes, in release builds, while they, and the supervisor, are killed and stopped at
# random: 5 to 10 minutes, as root (zombies need it). It says how it goes every 10 s; a failing seed prints its command.
soak-orders: deps
	QP_STORM_PROPOSALS=$${QP_STORM_PROPOSALS:-200000} QP_STORM_KILLS=$${QP_STORM_KILLS:-500} \
		QP_STORM_ZOMBIES=$${QP_STORM_ZOMBIES:-40} \
		swift test -c release -Xswiftc -enable-testing --scratch-path .build-soak --disable-xctest --filter OrderStorm

lint: deps
	swift format lint --strict --recursive Package.swift Sources agents Tests
	.ci/check-imports

format:
	swift format --in-place --recursive Package.swift Sources agents Tests

# Simulated fault histories of durable wires; `SCHEDULES=1000000` for more.
SCHEDULES ?= 200000
soak-wires: deps
	QP_SIM_SCHEDULES=$(SCHEDULES) swift test -c release -Xswiftc -enable-testing --scratch-path .build-soak --disable-xctest \
		--filter DeliverySimulationTests

# The protocol of durable wires, checked exhaustively within small bounds; every seeded bug must be found. MODEL_DEEP=1 for more.
model:
	@.ci/deps spin gcc libc6-dev
	@Tests/Model/check

# Regenerates Sources/Wire/Generated from the schema; the result is committed.
proto:
	.ci/proto

# A supervisor whose run directory is deleted stops its agents: nobody could find them again.
clean:
	@[ ! -e run/supervisor.lock ] || flock --nonblock run/supervisor.lock true || \
		{ echo "run is in use by a supervisor, pid $$(cat run/supervisor.lock); stop it first" >&2; exit 1; }
	rm -rf .build run
