# SPDX-License-Identifier: BSD-2-Clause
#
# The pure rooms as ordinary programs: unit tests (cmocka) and fuzz targets (libFuzzer), both under
# the address and undefined-behaviour sanitizers.
#
#   make unit                    build and run every tests/unit/test_*.c
#   make build/host/test_NAME    build one;  make run-NAME-test  builds and runs it
#   make fuzz [FUZZ_SECONDS=n]   build and run every tests/fuzz/fuzz_*.c
#   make build/fuzz/fuzz_NAME    build one
#
# Each pure room is a static library. A program links lib and the rooms whose headers it includes,
# so that an error in one room leaves the tests of the others alone.

T := $(B)/host
FZ := $(B)/fuzz
CLANG ?= clang
FUZZ_SECONDS ?= 10

PURE_ROOMS := uart emul dev load config cpuid mm boot acpi line json console lib
PURE_lib    := $(filter-out lib/string.c,$(wildcard lib/*.c))
PURE_emul   := $(wildcard vmm/emul/*.c)
PURE_dev    := $(wildcard vmm/dev/*.c)
PURE_load   := $(wildcard vmm/load/*.c)
PURE_config := $(wildcard vmm/config*.c)
PURE_cpuid  := vmm/cpuid.c
PURE_mm     := $(filter-out mm/kmem.c,$(wildcard mm/*.c))
PURE_boot   := $(wildcard boot/mbi.c boot/memmap.c)
PURE_acpi   := $(wildcard arch/x86_64/acpi*.c)
PURE_uart   := drivers/uart/uart.c
PURE_line   := monitor/line.c
PURE_json   := monitor/json.c
PURE_console := monitor/console.c
# The header prefix that says a program uses the room.
PREFIX_emul   := vmm/emul/
PREFIX_dev    := vmm/dev/
PREFIX_load   := vmm/load/
PREFIX_config := vmm/config
PREFIX_cpuid  := vmm/cpuid
PREFIX_mm     := mm/
PREFIX_boot   := boot/
PREFIX_acpi   := arch/x86_64/acpi
PREFIX_uart   := drivers/uart/
PREFIX_line   := monitor/line
PREFIX_json   := monitor/json
PREFIX_console := monitor/console
# Rooms that need another one at link time.
NEEDS_load := config
NEEDS_config := load
NEEDS_console := json

SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
HOST_BASE := $(BASE) -DCHECKED=1 -fno-omit-frame-pointer -MMD -MP
TFLAGS := $(HOST_BASE) -O1 $(SANITIZE)
FFLAGS := $(HOST_BASE) -O1 $(SANITIZE) -fsanitize=fuzzer-no-link

UNIT_SRCS := $(wildcard tests/unit/test_*.c)
UNIT_BINS := $(UNIT_SRCS:tests/unit/%.c=$(T)/%)
FUZZ_SRCS := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BINS := $(FUZZ_SRCS:tests/fuzz/%.c=$(FZ)/%)

# $(call rooms_of,source): the rooms its #include lines name, with what those need; lib last.
includes_of = $(shell sed -n 's/^ *\# *include *"\([^"]*\)".*/\1/p' $(1))
named_rooms = $(foreach r,$(PURE_ROOMS),$(if $(PREFIX_$(r)),$(if $(filter $(PREFIX_$(r))%,$(2)),$(r))))
rooms_of = $(strip $(call with_needs,$(call named_rooms,$(1),$(call includes_of,$(1)))) lib)
with_needs = $(1) $(filter-out $(1),$(foreach r,$(1),$(NEEDS_$(r))))
# $(call libs_of,directory,source)
libs_of = $(foreach r,$(call rooms_of,$(2)),$(1)/lib$(r).a)

$(T)/flags: FORCE
	@mkdir -p $(@D); echo '$(HOSTCC) $(TFLAGS)' | cmp -s - $@ || echo '$(HOSTCC) $(TFLAGS)' > $@
$(FZ)/flags: FORCE
	@mkdir -p $(@D); echo '$(CLANG) $(FFLAGS)' | cmp -s - $@ || echo '$(CLANG) $(FFLAGS)' > $@

$(T)/obj/%.o: %.c $(T)/flags
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(TFLAGS) -c $< -o $@

$(FZ)/obj/%.o: %.c $(FZ)/flags
	$(call say,FUZZCC,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FFLAGS) -c $< -o $@

define pure_room
$(T)/lib$(1).a: $(PURE_$(1):%.c=$(T)/obj/%.o)
	@rm -f $$@; mkdir -p $$(@D); ar rcs $$@ $$^
$(FZ)/lib$(1).a: $(PURE_$(1):%.c=$(FZ)/obj/%.o)
	@rm -f $$@; mkdir -p $$(@D); ar rcs $$@ $$^
endef
$(foreach r,$(PURE_ROOMS),$(eval $(call pure_room,$(r))))

define unit_program
$(T)/$(1): $(T)/obj/tests/unit/$(1).o $(T)/obj/tests/unit/host.o $(call libs_of,$(T),tests/unit/$(1).c)
	$$(call say,LINK,$$@)
	$$(Q)$$(HOSTCC) $$(SANITIZE) -o $$@ $$(filter %.o,$$^) \
	    -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group -lcmocka $$(LIBS_$(1))
endef
$(foreach t,$(UNIT_BINS:$(T)/%=%),$(eval $(call unit_program,$(t))))

define fuzz_program
$(FZ)/$(1): $(FZ)/obj/tests/fuzz/$(1).o $(FZ)/obj/tests/unit/host.o $(call libs_of,$(FZ),tests/fuzz/$(1).c)
	$$(call say,LINK,$$@)
	$$(Q)$$(CLANG) $$(SANITIZE) -fsanitize=fuzzer -o $$@ $$(filter %.o,$$^) \
	    -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group
endef
$(foreach t,$(FUZZ_BINS:$(FZ)/%=%),$(eval $(call fuzz_program,$(t))))

.PRECIOUS: $(T)/obj/%.o $(FZ)/obj/%.o

unit: $(UNIT_BINS) ## build and run the unit tests of the pure rooms
	@tests/unit/run $(T) $(UNIT_BINS)

fuzz: $(FUZZ_BINS) ## fuzz each pure room for FUZZ_SECONDS (10)
	@tests/fuzz/run $(FZ) $(FUZZ_SECONDS) $(FUZZ_BINS)

run-%-test: $(T)/test_%
	$<

.PHONY: unit fuzz

-include $(shell find $(T)/obj $(FZ)/obj -name '*.d' 2>/dev/null)
# Further targets of `make check`, and of `make check-long`: each leaves "PASSED FAILED" in
# build/TARGET.result.
CHECK_TARGETS :=
LONG_TARGETS :=
-include tests/emul/emul.mk
-include tests/mm/mm.mk
-include tests/sched/sched.mk
-include tests/load/load.mk

# A variable's value, for the checks.
print-%:
	@echo '$($*)'
