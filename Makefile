# SPDX-License-Identifier: Apache-2.0
#
# Culvert's build. `make help` lists the targets.
#
# One tree of outputs per way of building: $(O) is build/ for gcc, build/asan and
# build/next for the others, each made by running this file again with another O, CC
# and SAN. Sources are found, not listed: every src/*/*.c goes
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

# The only place where the version stands.
VERSION := 0.1.0

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
CV_CPPFLAGS := -Isrc -D_GNU_SOURCE= -DCV_VERSION='"$(VERSION)"' $(CPPFLAGS)
CV_CFLAGS := -std=gnu17 $(CFLAGS) $(WARN) $(HARDEN_C) $(SAN_C) -pthread
CV_LDFLAGS := $(HARDEN_LD) $(SAN_LD) -pthread -Wl,--as-needed $(LDFLAGS)
LIBS := -lmnl -levent -ljansson -lsystemd -lbpf -lpcap -lyaml -lnftables -lmd -lsqlite3
TEST_LIBS := -lcmocka -lcrypto
# What only tests run is over a hundred programs in each of two trees: lld links one in a third of the
# time, 0.2 s instead of 0.6 with the sanitizers.
TEST_LD := $(if $(wildcard /usr/bin/ld.lld),-fuse-ld=lld)
# One of each library, to say what to do before the compiler complains.
HEADERS := libmnl/libmnl.h event2/event.h jansson.h systemd/sd-daemon.h bpf/libbpf.h \
	pcap/pcap.h yaml.h nftables/libnftables.h sha256.h curl/curl.h openssl/x509.h \
	sqlite3.h

# ---- sources -------------------------------------------------------------------

MAINS := src/agent/culvertd.c src/cli/culvert.c src/cni/culvert-cni.c
LIB_SRC := $(filter-out $(MAINS) src/bpf/%,$(sort $(wildcard src/*/*.c)))
UNIT_SRC := $(sort $(wildcard tests/unit/*_test.c))
UNIT_COMMON := $(filter-out $(UNIT_SRC),$(sort $(wildcard tests/unit/*.c)))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/*_fuzz.c))
FUZZ_COMMON := $(filter-out $(FUZZ_SRC),$(sort $(wildcard tests/fuzz/*.c)))
# Helper programs of the scripts: one .c is one program, below $(O) at the same path.
TOOL_SRC := $(sort $(wildcard lab/*.c tests/packet/*.c tests/lab/*.c tests/interop/*.c \
	tests/bench/*.c))
# One program of several files.
DIFFERENTIAL_SRC := $(sort $(wildcard tests/differential/*.c))
ALL_SRC := $(LIB_SRC) $(wildcard $(MAINS)) $(UNIT_SRC) $(UNIT_COMMON) $(FUZZ_SRC) \
	$(FUZZ_COMMON) $(TOOL_SRC) $(DIFFERENTIAL_SRC)

obj = $(patsubst %.c,$(O)/obj/%.o,$(1))

# The eBPF programs: one source, made with and without kernel functions that not every kernel
# has (CV_CASTS, CV_CONNTRACK), which src/fastpath/image.c takes in. Always by clang; of what
# -g makes, only the BTF is needed.
BPF_OBJECTS := $(patsubst %,$(O)/bpf/%.bpf.o,plain casts conntrack casts-conntrack)
# -mcpu=v3: atomic operations that return a value (Linux 5.12).
BPF_FLAGS := -target bpf -mcpu=v3 -std=gnu17 -O2 -g -Wall -Wextra -Wshadow -Wcast-qual \
	-Wpointer-arith -Werror -Isrc $(BPF_CPPFLAGS)
# Where Debian keeps <asm/types.h>, which -target bpf would not look for.
BPF_INCLUDE = -I/usr/include/$(shell $(CC) -print-multiarch)

LIB := $(O)/libculvert.a
PROGRAMS := $(patsubst %.c,$(O)/%,$(notdir $(wildcard $(MAINS))))
UNITS := $(patsubst %.c,$(O)/%,$(UNIT_SRC))
FUZZERS := $(patsubst %.c,$(O)/%,$(FUZZ_SRC))
DIFFERENTIAL := $(O)/tests/differential/differential
TOOLS := $(patsubst %.c,$(O)/%,$(TOOL_SRC)) $(DIFFERENTIAL)

# ---- building ------------------------------------------------------------------

.PHONY: all programs units fuzzers tools FORCE
all: $(LIB) $(PROGRAMS) $(TOOLS)
programs: $(PROGRAMS)
units: $(UNITS)
fuzzers: $(FUZZERS)
tools: $(TOOLS)

# Everything is rebuilt when the compiler or its flags change.
FLAGS_NOW := $(CC) | $(BPF_FLAGS) | $(CV_CPPFLAGS) | $(CV_CFLAGS) | $(CV_LDFLAGS) | $(LIBS) $(TEST_LIBS) $(TEST_LD)
$(O)/.flags: export FLAGS_NOW := $(FLAGS_NOW)
$(O)/.flags: FORCE
	@mkdir -p $(@D)
	@[ -e $@ ] || printf '#include <%s>\n' $(HEADERS) | $(CC) -E - >/dev/null 2>&1 || { \
		echo 'make: libraries are missing: run `make deps` first' >&2; exit 1; }
	@echo "$$FLAGS_NOW" | cmp -s - $@ || echo "$$FLAGS_NOW" >$@

# The archive is rebuilt when a source comes or goes, too.
$(O)/.sources: FORCE
	@mkdir -p $(@D)
	@echo '$(LIB_SRC)' | cmp -s - $@ || echo '$(LIB_SRC)' >$@

$(O)/obj/%.o: %.c $(O)/.flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CV_CPPFLAGS) $(CV_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/bpf/casts.bpf.o $(O)/bpf/casts-conntrack.bpf.o: BPF_FLAGS += -DCV_CASTS
$(O)/bpf/conntrack.bpf.o $(O)/bpf/casts-conntrack.bpf.o: BPF_FLAGS += -DCV_CONNTRACK
$(BPF_OBJECTS): src/bpf/fastpath.bpf.c $(O)/.flags
	@mkdir -p $(@D)
	$(say) BPF $@
	$(Q)clang $(BPF_FLAGS) $(BPF_INCLUDE) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<
	$(Q)llvm-strip -g $@
-include $(BPF_OBJECTS:.o=.d)
# What tests/bench/cost runs.
$(O)/bpf/cost.bpf.o: tests/bpf/cost.c $(wildcard src/bpf/*.h src/wire/*.h) $(O)/.flags
	@mkdir -p $(@D)
	$(say) BPF $@
	$(Q)clang $(BPF_FLAGS) $(BPF_INCLUDE) -c -o $@ $<
$(call obj,src/fastpath/image.c): CV_CPPFLAGS += -DCV_IMAGE_DIR='"$(O)/bpf/"'
$(call obj,src/fastpath/image.c): $(BPF_OBJECTS)

# For who only reads the code: src/fastpath/image.c takes in what need not be built then.
NO_IMAGE := -DCV_IMAGE_DIR='"build/bpf/"'

# What the compiler says of a file, and no object: all that clang warns of it knows before it
# makes code (`make check-clang`).
CHECKED := $(patsubst %.c,$(O)/checked/%.ok,$(ALL_SRC))
.PHONY: checked
checked: $(CHECKED)
$(O)/checked/%.ok: %.c $(O)/.flags
	@mkdir -p $(@D)
	$(say) CHECK $<
	$(Q)$(CC) $(CV_CPPFLAGS) $(NO_IMAGE) $(CV_CFLAGS) -MMD -MP -MT $@ -MF $(@:.ok=.d) \
		-fsyntax-only $<
	@touch $@
-include $(CHECKED:.ok=.d)

$(LIB): $(call obj,$(LIB_SRC)) $(O)/.sources
	$(say) AR $@
	$(Q)rm -f $@.new && $(AR) rcs $@.new $(filter %.o,$^) && mv $@.new $@

# Linked aside and moved into place, so that a test that runs meanwhile finds the old program.
define program
$(1): $(2) $(LIB)
	@mkdir -p $$(@D)
	$$(say) LD $$@
	$$(Q)$$(CC) $$(CV_CFLAGS) $$(CV_LDFLAGS) $(4) -o $$@.new $(2) $(LIB) $(3) $$(LIBS)
	$$(Q)mv $$@.new $$@
endef
$(foreach m,$(wildcard $(MAINS)),$(eval \
	$(call program,$(O)/$(basename $(notdir $(m))),$(call obj,$(m)))))
$(foreach t,$(UNIT_SRC),$(eval \
	$(call program,$(O)/$(basename $(t)),$(call obj,$(t) $(UNIT_COMMON)),$(TEST_LIBS),$(TEST_LD))))
$(foreach t,$(TOOL_SRC),$(eval $(call program,$(O)/$(basename $(t)),$(call obj,$(t)),,$(TEST_LD))))
$(eval $(call program,$(DIFFERENTIAL),$(call obj,$(DIFFERENTIAL_SRC) tests/unit/world.c),,$(TEST_LD)))
$(foreach t,$(FUZZ_SRC),$(eval \
	$(call program,$(O)/$(basename $(t)),$(call obj,$(t) $(FUZZ_COMMON)),,-fsanitize=fuzzer $(TEST_LD))))

-include $(patsubst %.c,$(O)/obj/%.d,$(ALL_SRC))

# ---- the other ways of building ------------------------------------------------

CLANG_ARGS := O=build/clang CC=clang SAN=
# One tree for the sanitizers and for the fuzzers, which need the sanitizers, too: what
# counts covered branches makes it a tenth slower and saves compiling everything once more.
ASAN_ARGS := O=build/asan CC=clang SAN=fuzzer-no-link,address,undefined
# A version to come (-O1: it runs once, for a moment), whose eBPF maps have another layout (src/bpf/abi.h): what
# tests/packet/lifecycle.t upgrades to.
NEXT_ARGS := O=build/next CFLAGS=-O1 BPF_CPPFLAGS=-DCV_FP_NEXT_LAYOUT CPPFLAGS=-DCV_FP_NEXT_LAYOUT

.PHONY: check-clang asan fuzz next
# clang's warnings with the flags of a plain build, among them those of the fortified functions;
# that clang's code is made, linked and run, the tree with the sanitizers shows at the same -O2.
check-clang:
	+$(MAKE) --no-print-directory $(CLANG_ARGS) checked
asan:
	+$(MAKE) --no-print-directory $(ASAN_ARGS) all units fuzzers
fuzz:
	+$(MAKE) --no-print-directory $(ASAN_ARGS) fuzzers
next:
	+$(MAKE) --no-print-directory $(NEXT_ARGS) programs
ifeq ($(O),build)
build/clang/%: FORCE
	+$(MAKE) --no-print-directory $(CLANG_ARGS) $@
build/asan/%: FORCE
	+$(MAKE) --no-print-directory $(ASAN_ARGS) $@
endif

# ---- lints ---------------------------------------------------------------------

# Each check-X below is one line in the report of `make test`. clang-check and the other
# builds are lines of their own there.
CHECKS := check-bpf check-host check-format check-tidy check-sparse \
	check-man check-scripts check-layers
# Minutes of work: a line in the report of the long tests.
LONG_CHECKS := check-analyzer check-cppcheck
.PHONY: lint list-checks list-long-checks $(CHECKS) $(LONG_CHECKS)
lint: $(CHECKS) $(LONG_CHECKS)
list-checks:
	@echo $(CHECKS)
list-long-checks:
	@echo $(LONG_CHECKS)

SRC_C := $(filter-out src/bpf/%,$(sort $(wildcard src/*/*.c)))
WIRE_HDR := $(sort $(wildcard src/wire/*.h))
C_FILES := $(sort $(wildcard src/*/*.[ch] tests/*/*.[ch] lab/*.[ch]))
JOBS = $(shell nproc)
# The packet core must compile for the host and for eBPF: every header alone, to prove
# that it includes what it needs, and all of them together.
WIRE_CHECK := -std=gnu17 -O2 -g -Wall -Wextra -Wshadow -Wcast-qual -Wpointer-arith -Werror -Isrc
build/wire/%.c: src/wire/%.h
	@mkdir -p $(@D)
	@echo '#include "wire/$*.h"' >$@
build/wire/wire_all.c: $(WIRE_HDR) Makefile
	@mkdir -p $(@D)
	@printf '#include "wire/%s"\n' $(notdir $(WIRE_HDR)) >$@
WIRE_UNITS := $(WIRE_HDR:src/wire/%.h=build/wire/%.c) build/wire/wire_all.c
BPF_CC = clang -target bpf $(WIRE_CHECK) $(BPF_INCLUDE)

# Code is made, and complained about, only for what is called.
build/wire/wire_callers.c: build/wire/wire_all.c tests/lint/wire-callers
	$(Q)$(BPF_CC) -E $< | perl tests/lint/wire-callers wire_all.c >$@

check-bpf: $(WIRE_UNITS) build/wire/wire_callers.c
	$(Q)set -e; for f in $^; do $(BPF_CC) -c -o $${f%.c}.bpf.o $$f; done
	$(Q)$(BPF_CC) -c -o build/wire/tests_wire_all.bpf.o tests/bpf/wire_all.c
check-host: $(WIRE_UNITS)
	$(Q)set -e; for f in $^; do for cc in gcc clang; do \
		$$cc $(WIRE_CHECK) -c -o $${f%.c}.$$cc.o $$f; done; done

check-format:
	$(Q)$(if $(C_FILES),clang-format --dry-run -Werror $(C_FILES))

# What includes the kernel's side of eBPF.
BPF_C := src/bpf/fastpath.bpf.c tests/bpf/cost.c

# Of the analyzer's checks, those that can say something about C on Linux: the others are asked at
# every step of its, too, and took a sixth of its time.
NOT_C := cplusplus fuchsia nullability optin.cplusplus optin.mpi optin.osx osx webkit
comma := ,
empty :=
ANALYZER := -bugprone-*,-misc-*,-readability-*$(subst $(empty) ,,$(NOT_C:%=$(comma)-clang-analyzer-%.*))

# clang-tidy without the analyzer, and the analyzer alone, which takes 20 times as long.
check-tidy:
	$(Q)bash tests/lint/tidy '--checks=-clang-analyzer-*' $(JOBS) \
		$(filter-out $(BPF_C),$(filter %.c,$(C_FILES))) -- \
		$(CV_CPPFLAGS) $(NO_IMAGE) -std=gnu17
	$(Q)bash tests/lint/tidy '--checks=-clang-analyzer-*' $(JOBS) $(BPF_C) -- \
		$(BPF_FLAGS) $(BPF_INCLUDE)
check-analyzer:
	$(Q)bash tests/lint/tidy '--checks=$(ANALYZER)' $(JOBS) $(filter-out $(BPF_C),$(SRC_C)) -- \
		$(CV_CPPFLAGS) $(NO_IMAGE) -std=gnu17
	$(Q)bash tests/lint/tidy '--checks=$(ANALYZER)' $(JOBS) $(filter src/%,$(BPF_C)) -- \
		$(BPF_FLAGS) $(BPF_INCLUDE)

CPPCHECK := --enable=warning,portability --library=bsd --inline-suppr --std=c11 --error-exitcode=1 \
	--cppcheck-build-dir=build/cppcheck --library=tests/lint/libbpf.cfg -Isrc
check-cppcheck:
	@mkdir -p build/cppcheck
	$(Q)$(if $(SRC_C),cppcheck -q -j$(JOBS) $(CPPCHECK) $(SRC_C))

# The virtio header of TUN devices and packet sockets is in the host's byte order, unlike
# what its types say, hence __virtio*. sparse does not take regex.h's array parameters.
SPARSE := -Wsparse-error -Wbitwise -Wno-transparent-union -std=gnu17 -D__CHECK_ENDIAN__ \
	$(NO_IMAGE) '-D_REGEX_NELTS(n)=' -D_LINUX_VIRTIO_TYPES_H -D__virtio16=__u16 -D__virtio32=__u32 -D__virtio64=__u64
# -Wsparse-error: without it sparse says what is wrong and exits with 0.
check-sparse:
	$(Q)rc=0; for f in $(SRC_C); do \
		sparse $(SPARSE) \
		$(CV_CPPFLAGS) $$f || rc=1; done; exit $$rc

MAN := $(sort $(wildcard doc/*.5 doc/*.8))
check-man:
	$(Q)$(if $(MAN),mandoc -T lint -W warning $(MAN))

check-scripts:
	$(Q)bash tests/lint/scripts
check-layers:
	$(Q)perl tests/lint/layers

# ---- tests ---------------------------------------------------------------------

# Behind root's name one may have a user's PATH (`su` without `-`): nft, sysctl, ethtool, bird are there.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

.PHONY: deps test test-all test-long unit unit-asan bench bench-kernel bench-scale bench-paths bench-bgp bench-etcd bench-cni lab
deps:
	@sh mk/deps packages.txt

FILTER = $(if $(TESTS),--filter '$(TESTS)')
test: deps
	+@perl tests/run $(FILTER)
test-long: deps
	+@perl tests/run --long $(FILTER)
test-all: deps
	+@perl tests/run --all $(FILTER)

# All of them run, whatever fails.
unit: units
	@fail=0; for t in $(UNITS); do echo "# $$t"; \
		CMOCKA_MESSAGE_OUTPUT=TAP $$t || { echo "# FAILED: $$t"; fail=1; }; done; exit $$fail
unit-asan:
	+$(MAKE) --no-print-directory $(ASAN_ARGS) unit

# Root is for the run alone: what it writes below build/ goes back to the user.
as_root = if [ "$$(id -u)" = 0 ]; then $(1); else \
	sudo env $(if $(CULVERT_LAB),CULVERT_LAB=$(CULVERT_LAB)) $(2) $(1); rc=$$?; \
	sudo find build -xdev -uid 0 -exec chown -h "$$(id -u):$$(id -g)" {} +; exit $$rc; fi
# Said before anything is built. sudo itself says why it does not let somebody in.
can_be_root = [ "$$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo true; } || { \
	echo 'make $@: run this as root, or install sudo' >&2; exit 1; }
lab:
	@$(can_be_root)
	+$(Q)$(MAKE) --no-print-directory deps
	+$(Q)$(MAKE) --no-print-directory all
	@$(call as_root,lab/demo)
bench_variables = $(foreach v,$(filter BENCH_%,$(.VARIABLES)),'$(v)=$($(v))')
bench:
	@$(can_be_root)
	+$(Q)$(MAKE) --no-print-directory deps
	+$(Q)$(MAKE) --no-print-directory all
	@mkdir -p build/bench
	@$(call as_root,tests/bench/run,$(bench_variables))
bench-kernel:
	@$(can_be_root)
	+$(Q)$(MAKE) --no-print-directory deps
	+$(Q)$(MAKE) --no-print-directory all
	@mkdir -p build/bench
	@$(call as_root,tests/bench/kernel,$(bench_variables))
bench-scale:
	@$(can_be_root)
	+$(Q)$(MAKE) --no-print-directory deps
	+$(Q)$(MAKE) --no-print-directory all
	@mkdir -p build/bench
	@$(call as_root,tests/bench/scale --json build/bench/scale.json $(SCALE))
bench-paths:
	@$(can_be_root)
	+$(Q)$(MAKE) --no-print-directory deps
	+$(Q)$(MAKE) --no-print-directory all
	@mkdir -p build/bench
	@$(call as_root,tests/bench/paths --json build/bench/paths.json $(PATHS))
bench-bgp:
	@$(can_be_root)
	+$(Q)$(MAKE) --no-print-directory deps
	+$(Q)$(MAKE) --no-print-directory all
	@mkdir -p build/bench
	@$(call as_root,tests/bench/bgp --json build/bench/bgp.json --csv build/bench/bgp.csv,$(bench_variables))
bench-etcd:
	@$(can_be_root)
	+$(Q)$(MAKE) --no-print-directory deps
	+$(Q)$(MAKE) --no-print-directory all
	@mkdir -p build/bench
	@$(call as_root,tests/bench/etcd --json build/bench/etcd.json,$(bench_variables))

bench-cni:
	@$(can_be_root)
	+$(Q)$(MAKE) --no-print-directory deps
	+$(Q)$(MAKE) --no-print-directory all
	@mkdir -p build/bench
	@$(call as_root,tests/bench/cni --json build/bench/cni.json $(CNI),$(bench_variables))

# ---- installing and the rest ---------------------------------------------------

BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
# Where Debian has its plugins (/usr/lib/cni), and podman looks with either prefix.
CNIDIR ?= $(PREFIX)/lib/cni

build/culvertd.service: contrib/systemd/culvertd.service FORCE
	@mkdir -p $(@D)
	@sed 's|@SBINDIR@|$(SBINDIR)|g' $< >$@

# One recipe line for each.
define newline


endef

.PHONY: install uninstall clean compdb help
install: all build/culvertd.service
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(SBINDIR) $(DESTDIR)$(MANDIR)/man5 \
		$(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(UNITDIR) $(DESTDIR)$(CNIDIR)
	$(if $(wildcard $(O)/culvert),$(INSTALL) -m 755 $(O)/culvert $(DESTDIR)$(BINDIR))
	$(if $(wildcard $(O)/culvertd),$(INSTALL) -m 755 $(O)/culvertd $(DESTDIR)$(SBINDIR))
	$(if $(wildcard $(O)/culvert-cni),$(INSTALL) -m 755 $(O)/culvert-cni $(DESTDIR)$(CNIDIR))
	$(foreach m,$(MAN),$(INSTALL) -m 644 $(m) $(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(m)))$(newline))
	$(INSTALL) -m 644 build/culvertd.service $(DESTDIR)$(UNITDIR)

# The directories stay: others may use them.
uninstall:
	rm -f $(DESTDIR)$(BINDIR)/culvert $(DESTDIR)$(SBINDIR)/culvertd \
		$(DESTDIR)$(CNIDIR)/culvert-cni \
		$(foreach m,$(MAN),$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(m)))/$(notdir $(m))) \
		$(DESTDIR)$(UNITDIR)/culvertd.service

clean:
	rm -rf build compile_commands.json

# For editors and clang tools: one entry for each source, as the gcc build compiles it.
compdb: export COMMAND := $(CC) $(CV_CPPFLAGS) $(CV_CFLAGS)
compdb:
	@perl mk/compdb $(O) $(sort $(ALL_SRC)) >compile_commands.json
	@echo "wrote compile_commands.json"

help:
	@echo 'make              build build/culvertd, build/culvert, build/culvert-cni (CC=clang, V=1)'
	@echo 'make deps         install the Debian packages that are missing (packages.txt)'
	@echo 'make lab          build, then show the demo network (root, or sudo)'
	@echo 'make test         all but the long tests; TESTS=regex runs what matches'
	@echo 'make test-long    only the long tests; make test-all runs both'
	@echo 'make unit         build and run the unit tests; unit-asan with the sanitizers'
	@echo 'make lint         the checks alone; one of them: make check-format, check-tidy …'
	@echo 'make check-clang  what clang warns of; make asan, make fuzz: with the sanitizers, in build/asan'
	@echo 'make bench        benchmarks, results in build/bench/ (root, or sudo)'
	@echo 'make bench-kernel beside the kernel'"'"'s ipip, gre, vxlan: in Debian'"'"'s 6.12, in qemu (root, or sudo)'
	@echo 'make bench-scale  one node of 5,000 with 20,000 prefixes; SCALE="--nodes N …" (root, or sudo)'
	@echo 'make bench-paths  what probing 5,000 peers costs; PATHS="--peers N …" (root, or sudo)'
	@echo 'make bench-bgp    5,000 prefixes by BGP, a mesh of 200 BIRDs; BENCH_BGP_SPEAKERS=50 (root, or sudo)'
	@echo 'make bench-etcd   from ADD on a node to the first ping from another, with etcd (root, or sudo)'
	@echo 'make bench-cni    ADD and DEL beside bridge and host-local; CNI="--where" (root, or sudo)'
	@echo 'make compdb       compile_commands.json'
	@echo 'make install      into $$(DESTDIR)$$(PREFIX), PREFIX=$(PREFIX)'
	@echo 'make uninstall    remove what install installs, from there'
	@echo 'make clean        remove what was built'
