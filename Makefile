# The front door; meson and ninja do the work. `make` leaves build/karezd and build/karez.
#
#	make               build                    make check        every test
#	make quickstart    see it work              make fuzz         fuzz each parser FUZZ_SECONDS long
#	make install       to $(DESTDIR)$(PREFIX)   make bench        measure it beside its peers
#	make deps          Debian packages          make format       clang-format
#	make clean
PREFIX = /usr/local
PYTHON = /usr/bin/python3
MESON = meson

all: build/build.ninja
	ninja -C build

# Without the tests, which need more packages: make check adds them.
build/build.ninja:
	@scripts/deps.sh --check build || echo 'or "make deps" does it for you; trying without' >&2
	$(MESON) setup build --prefix=$(PREFIX) -Dtests=false

install: all
	$(MESON) configure build -Dprefix=$(PREFIX)
	$(MESON) install -C build

deps:
	scripts/deps.sh build quickstart test fuzz bench format

quickstart:
	@scripts/deps.sh build quickstart
	@$(MAKE) --no-print-directory all
	@scripts/quickstart.sh

# Short runs of the fuzzers are part of it: FUZZ_SECONDS each, 5 unless told otherwise.
check:
	scripts/deps.sh build quickstart test fuzz
	$(PYTHON) scripts/check.py

fuzz:
	scripts/deps.sh build fuzz test
	FUZZ_SECONDS=$${FUZZ_SECONDS:-300} $(PYTHON) scripts/check.py fuzz

bench:
	scripts/deps.sh build bench
	$(MAKE) all
	$(PYTHON) bench/run.py
	$(PYTHON) bench/api.py
	$(PYTHON) bench/nodes.py

format:
	scripts/deps.sh format
	find src test bench -name '*.[ch]' -exec clang-format -i {} +

clean:
	rm -rf build build-asan build-fuzz bench/out

.PHONY: all install deps quickstart check fuzz bench format clean
