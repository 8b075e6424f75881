# Everything a newcomer needs: `make demo` and `make test` set up what is missing, build and run.
SHELL := /bin/bash
JOBS ?= $(shell nproc)
BUILD ?= build
OUT ?= runs/demo
# A new build folder compiles many files as one, which is quick from nothing but slow after a change; UNITY=OFF compiles
# file by file. A folder that exists stays what it is unless UNITY is given.
ifeq ($(wildcard $(BUILD)/CMakeCache.txt),)
UNITY ?= ON
endif

.PHONY: help setup build program dev demo test sanitize emulated kernels bench install docs tidy format clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     set up, build, compare rules on the embedded data set; ends with a table and an HTML report"
	@echo "make test     set up, build, run all tests"
	@echo "make sanitize build the readers with address and undefined-behaviour sanitizers and feed them damaged input"
	@echo "make kernels  run the tests of kernels under each choice of kernels, those for AVX-512 on any processor"
	@echo "make build    set up and build everything, tests and examples too"
	@echo "make program  set up and build the program alone, build/altprop"
	@echo "make dev      set up and build file by file into build-dev/: for whoever changes the code"
	@echo "make bench    measure every rule against the arithmetic limit of this machine"
	@echo "make install  install program, library and headers (PREFIX=/usr/local)"
	@echo "make docs     write the option tables of the documentation from the program's listings"
	@echo "make format   format the sources (clang-format-15)"
	@echo "make tidy     check the sources (clang-tidy-15)"
	@echo "make clean    remove the build folder"

setup: .cache/setup.stamp

.cache/setup.stamp: tools/setup.sh requirements.txt
	@tools/setup.sh
	@mkdir -p .cache && touch $@

$(BUILD)/build.ninja: .cache/setup.stamp CMakeLists.txt
	cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=Release $(if $(UNITY),-DALTPROP_UNITY=$(UNITY)) \
	  -DALTPROP_PYTHON_MODULE=ON -DPython_EXECUTABLE=$(CURDIR)/.venv/bin/python
ifdef UNITY
.PHONY: $(BUILD)/build.ninja
endif

build: $(BUILD)/build.ninja
	cmake --build $(BUILD) -j $(JOBS)

dev:
	@$(MAKE) --no-print-directory build BUILD=build-dev UNITY=OFF

# The program alone: tests and examples take most of the time of a build from nothing.
program: $(BUILD)/build.ninja
	cmake --build $(BUILD) -j $(JOBS) --target altprop_cli

demo: program
	$(BUILD)/altprop compare --rules 'backprop,feedback-alignment[lr=0.005],direct-feedback-alignment[lr=0.005],uniform-sign,kolen-pollack,product-feedback-alignment,last-layer-only' \
	  --net mlp:784-256-256-10:relu --data glyphs --epochs 5 --batch 64 --optimizer momentum --lr 0.02 --weight-decay 0.001 \
	  --out $(OUT) --overwrite

.cache/setup-tests.stamp: .cache/setup.stamp
	@tools/setup.sh tests
	@mkdir -p .cache && touch $@

test: .cache/setup-tests.stamp build
	@tools/test.sh $(BUILD)

sanitize: build
	cmake --build $(BUILD) -j $(JOBS) --target altprop_sanitized
	@tools/sanitize.sh $(BUILD)

# Once it is built, `make test` runs it too.
emulated: build
	cmake --build $(BUILD) -j $(JOBS) --target altprop_emulated

kernels: .cache/setup-tests.stamp emulated
	@tools/kernels.sh $(BUILD)

bench: program
	$(BUILD)/altprop bench --python .venv/bin/python

PREFIX ?= /usr/local
install: build
	cmake --install $(BUILD) --prefix $(PREFIX)

docs: program
	.venv/bin/python tools/option_tables.py --build $(BUILD)

tidy: $(BUILD)/build.ninja
	python3 tools/tidy.py --jobs $(JOBS)

format:
	git ls-files '*.h' '*.cpp' '*.js' | xargs clang-format-15 -i

clean:
	rm -rf $(BUILD)
