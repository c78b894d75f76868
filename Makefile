# SPDX-License-Identifier: BSD-2-Clause
# The front door. Meson does the work: `meson setup build && ninja -C build` is all that `make` adds to.
#
#   make            build into build/; the program is build/cli/kbypass
#   make bench      every backend this machine has, side by side on a throw-away network
#   make test       build, all tests, sanitizers, format, analysis; as CI runs it
#   make check      of that, format and analysis alone
#   make deps       install what is missing of packages.txt (Debian 12, root)
#   make install    into PREFIX (default /usr/local); DESTDIR is honoured

BUILD   ?= build
PREFIX  ?= /usr/local
RESULTS ?= results
BENCH   ?= --lab --out $(RESULTS)

.PHONY: all deps bench test check install clean

all: deps
	@test -f $(BUILD)/build.ninja || meson setup --prefix $(PREFIX) $(BUILD)
	@ninja -C $(BUILD)

# Only what is missing; the package lists are fetched only when apt cannot do without them.
deps:
	@command -v dpkg-query >/dev/null || { echo "make: no Debian system: see packages.txt"; exit 0; }; \
	have=$$(dpkg-query -W -f '$${db:Status-Status} $${Package}\n' | sed -n 's/^installed //p'); \
	missing=$$(sed 's/#.*//' packages.txt | while read -r p; do \
		test -z "$$p" || echo "$$have" | grep -qxF "$$p" || echo "$$p"; done); \
	test -n "$$missing" || exit 0; \
	test "$$(id -u)" = 0 || { echo "make: missing; as root: apt-get install" $$missing >&2; exit 0; }; \
	echo "make: installing" $$missing; \
	install="apt-get install -qq -y --no-install-recommends"; export DEBIAN_FRONTEND=noninteractive; \
	$$install $$missing >/dev/null 2>&1 || { apt-get update -qq && $$install $$missing >/dev/null; }

# The report is written also when the bench has findings (1); the exit status is the bench's.
bench: all
	@echo '$(BUILD)/cli/kbypass bench $(BENCH)'; $(BUILD)/cli/kbypass bench $(BENCH); status=$$?; \
	case "$$status $(BENCH) " in [01]" "*"--out $(RESULTS) "*) \
		printf 'report: '; $(BUILD)/cli/kbypass report $(RESULTS) || status=2;; \
	esac; exit $$status

test: deps
	@tests/run

check: deps
	@tests/run --only quality

install: all
	meson install -C $(BUILD) --no-rebuild
	@test -n "$(DESTDIR)" || ldconfig

clean:
	rm -rf $(BUILD) build-clang build-asan build-tsan
