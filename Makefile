# SPDX-License-Identifier: Apache-2.0
#
# Culvert's build. `make help` lists the targets.
#
# One tree of outputs per way of building: $(O) is build/ for gcc, build/clang,
# build/asan and build/fuzz for the others, each made by running this file again
# with another O, CC and SAN. Sources are found, not listed: every src/*/*.c goes
# into libculvert.a, except the programs' mains and src/bpf. Nothing outside make
# and the compiler is called while this file is read, so that `make deps` works on
# a machine that has only git, gcc and make.

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin AR),default)
AR := ar
endif
O ?= build
# A list for -fsanitize=, empty for a plain build.
SAN ?=
# V=1 prints the commands.
V ?= 0
PREFIX ?= /usr/local
DESTDIR ?=
INSTALL ?= install

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-8s%s\n'
endif

# ---- flags ---------------------------------------------------------------------

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual \
	-Wpointer-arith -Werror
CFLAGS ?= -O2 -g
LDFLAGS ?=
HARDEN_C := -fPIE -fstack-protector-strong
HARDEN_LD := -pie -Wl,-z,relro,-z,now
ifeq ($(SAN),)
HARDEN_C += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
SAN_C :=
SAN_LD :=
else
# The fortified functions would hide from the sanitizers what they are to see.
HARDEN_C += -U_FORTIFY_SOURCE
SAN_C := -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
SAN_LD := $(SAN_C)
endif
# `make CFLAGS=…` may change optimisation and debugging; the rest is the project's.
CV_CPPFLAGS := -Isrc -D_GNU_SOURCE $(CPPFLAGS)
CV_CFLAGS := -std=gnu17 $(CFLAGS) $(WARN) $(HARDEN_C) $(SAN_C) -pthread
CV_LDFLAGS := $(HARDEN_LD) $(SAN_LD) -pthread -Wl,--as-needed $(LDFLAGS)
LIBS := -lmnl -levent -levent_pthreads -ljansson -lsystemd
TEST_LIBS := -lcmocka

# ---- sources -------------------------------------------------------------------

MAINS := src/agent/culvertd.c src/cli/culvert.c
LIB_SRC := $(filter-out $(MAINS) src/bpf/%,$(sort $(wildcard src/*/*.c)))
UNIT_SRC := $(sort $(wildcard tests/unit/*_test.c))
UNIT_COMMON := $(filter-out $(UNIT_SRC),$(sort $(wildcard tests/unit/*.c)))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/*_fuzz.c))
FUZZ_COMMON := $(filter-out $(FUZZ_SRC),$(sort $(wildcard tests/fuzz/*.c)))
# Helper programs of the scripts: one .c is one program, below $(O) at the same path.
TOOL_SRC := $(sort $(wildcard lab/*.c tests/packet/*.c tests/lab/*.c tests/interop/*.c \
	tests/bench/*.c))
ALL_SRC := $(LIB_SRC) $(wildcard $(MAINS)) $(UNIT_SRC) $(UNIT_COMMON) $(FUZZ_SRC) \
	$(FUZZ_COMMON) $(TOOL_SRC)

obj = $(patsubst %.c,$(O)/obj/%.o,$(1))

LIB := $(O)/libculvert.a
PROGRAMS := $(patsubst %.c,$(O)/%,$(notdir $(wildcard $(MAINS))))
UNITS := $(patsubst %.c,$(O)/%,$(UNIT_SRC))
FUZZERS := $(patsubst %.c,$(O)/%,$(FUZZ_SRC))
TOOLS := $(patsubst %.c,$(O)/%,$(TOOL_SRC))

# ---- building ------------------------------------------------------------------

.PHONY: all programs units fuzzers tools FORCE
all: $(LIB) $(PROGRAMS) $(TOOLS)
programs: $(PROGRAMS)
units: $(UNITS)
fuzzers: $(FUZZERS)
tools: $(TOOLS)

# Everything is rebuilt when the compiler or its flags change.
FLAGS_NOW := $(CC) | $(CV_CPPFLAGS) | $(CV_CFLAGS) | $(CV_LDFLAGS) | $(LIBS) $(TEST_LIBS)
$(O)/.flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_NOW)' | cmp -s - $@ || echo '$(FLAGS_NOW)' >$@

# The archive is rebuilt when a source comes or goes, too.
$(O)/.sources: FORCE
	@mkdir -p $(@D)
	@echo '$(LIB_SRC)' | cmp -s - $@ || echo '$(LIB_SRC)' >$@

$(O)/obj/%.o: %.c $(O)/.flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CV_CPPFLAGS) $(CV_CFLAGS) -MMD -MP -c -o $@ $<

$(LIB): $(call obj,$(LIB_SRC)) $(O)/.sources
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

define program
$(1): $(2) $(LIB)
	@mkdir -p $$(@D)
	$$(say) LD $$@
	$$(Q)$$(CC) $$(CV_CFLAGS) $$(CV_LDFLAGS) $(4) -o $$@ $(2) $(LIB) $(3) $$(LIBS)
endef
$(foreach m,$(wildcard $(MAINS)),$(eval \
	$(call program,$(O)/$(basename $(notdir $(m))),$(call obj,$(m)))))
$(foreach t,$(UNIT_SRC),$(eval \
	$(call program,$(O)/$(basename $(t)),$(call obj,$(t) $(UNIT_COMMON)),$(TEST_LIBS))))
$(foreach t,$(TOOL_SRC),$(eval $(call program,$(O)/$(basename $(t)),$(call obj,$(t)))))
$(foreach t,$(FUZZ_SRC),$(eval \
	$(call program,$(O)/$(basename $(t)),$(call obj,$(t) $(FUZZ_COMMON)),,-fsanitize=fuzzer)))

-include $(patsubst %.c,$(O)/obj/%.d,$(ALL_SRC))

# ---- the other ways of building ------------------------------------------------

CLANG_ARGS := O=build/clang CC=clang SAN=
ASAN_ARGS := O=build/asan CC=clang SAN=address,undefined
FUZZ_ARGS := O=build/fuzz CC=clang SAN=fuzzer-no-link,address,undefined

.PHONY: check-clang asan fuzz
check-clang:
	+$(MAKE) --no-print-directory $(CLANG_ARGS) all units
asan:
	+$(MAKE) --no-print-directory $(ASAN_ARGS) all units
fuzz:
	+$(MAKE) --no-print-directory $(FUZZ_ARGS) fuzzers
ifeq ($(O),build)
build/clang/%: FORCE
	+$(MAKE) --no-print-directory $(CLANG_ARGS) $@
build/asan/%: FORCE
	+$(MAKE) --no-print-directory $(ASAN_ARGS) $@
build/fuzz/%: FORCE
	+$(MAKE) --no-print-directory $(FUZZ_ARGS) $@
endif

# ---- tests ---------------------------------------------------------------------

.PHONY: unit unit-asan
unit: units
	@fail=0; for t in $(UNITS); do echo "# $$t"; \
		CMOCKA_MESSAGE_OUTPUT=TAP $$t || { echo "# FAILED: $$t"; fail=1; }; done; exit $$fail
unit-asan:
	+$(MAKE) --no-print-directory $(ASAN_ARGS) unit

.PHONY: clean
clean:
	rm -rf build compile_commands.json
