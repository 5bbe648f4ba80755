# Everything a newcomer needs; beneath it are the ordinary CMake presets (see CONTRIBUTING.md).
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local

.PHONY: configure build demo test conformance convergence test-asan bench install format tidy clean

.NOTPARALLEL:  # each step builds with all processors, in the same folder

configure:
	scripts/setup.sh
	cmake --preset release

build: configure
	cmake --build --preset release -j $(JOBS)

# The command alone: tests take longer to build than all else.
demo: configure
	cmake --build --preset release -j $(JOBS) --target treadle_tool
	scripts/demo.sh build/release/bin/treadle

test: build
	ctest --preset release -j $(JOBS)

# ONNX's backend tests alone, and the table of what passes (README.md shows it).
conformance: build
	build/release/tests/test_onnx --gtest_brief=1

# Trains real networks on real data (minutes to hours; CASES="digits-mlp membrane" picks some).
convergence: build
	scripts/convergence.py build/release/bin/treadle $(CASES)

test-asan:
	scripts/setup.sh
	cmake --preset asan
	cmake --build --preset asan -j $(JOBS)
	ctest --preset asan -j $(JOBS)

# Needs compare.py and the networks; scripts/bench.sh says where it looks for them.
bench: build
	scripts/setup.sh --bench
	scripts/bench.sh build/release/bin/treadle

install: configure
	cmake --build --preset release -j $(JOBS) --target treadle treadle_tool
	cmake --install build/release --prefix $(PREFIX)

format:
	git ls-files -co --exclude-standard '*.cc' '*.h' '*.c' '*.hpp' '*.cu' | xargs clang-format -i

# Needs clang-tidy, which scripts/setup.sh does not install. TIDY=folder/ looks at that only.
TIDY ?= graph files importer optimizer backends runtime training tools bindings
tidy:
	cmake --preset release -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
	git ls-files $(TIDY) | grep '\.cc$$' | xargs -n 1 -P $(JOBS) \
	  clang-tidy --quiet -p build/release --extra-arg=-Wno-unknown-warning-option

clean:
	rm -rf build
