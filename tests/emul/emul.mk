# SPDX-License-Identifier: BSD-2-Clause
#
# The emulator against the processor, against Zydis, and the clock.
#
#   make check-emul    500,000 native cases, 1,000,000 inputs against Zydis, a capsule replayed
#   make check-emul-long   10 million and 50 million
#   make bench-emul    instructions decoded a second beside Zydis; instructions an emulation costs
#   make coverage      branch coverage of vmm/emul by all of the above, short
#   build/host/capsule 'LINE'   replays what skep printed for an instruction it could not emulate

CHECK_TARGETS += check-emul
LONG_TARGETS += check-emul-long
EM := $(B)/emul
EM_FLAGS := $(HOST_BASE) -O2
EM_PURE := $(PURE_emul) lib/print.c
NATIVE_CASES ?= 500000
NATIVE_LONG ?= 10000000
ZYDIS_CASES ?= 1000000
ZYDIS_LONG ?= 50000000

$(EM)/obj/%.o: %.c $(T)/flags
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(EM_FLAGS) -c $< -o $@

EM_OBJS := $(EM_PURE:%.c=$(EM)/obj/%.o) $(EM)/obj/tests/unit/host.o

NATIVE_SRCS := $(wildcard tests/emul/native*.c) tests/emul/forms.c

$(EM)/native: $(NATIVE_SRCS:%.c=$(EM)/obj/%.o) $(EM_OBJS)
	$(call say,LINK,$@)
	$(Q)$(HOSTCC) -o $@ $^

$(EM)/forms_list: $(EM)/obj/tests/emul/forms_list.o $(EM)/obj/tests/emul/forms.o $(EM_OBJS)
	$(call say,LINK,$@)
	$(Q)$(HOSTCC) -o $@ $^

$(EM)/zydis $(EM)/bench: $(EM)/%: $(EM)/obj/tests/emul/%.o $(EM_OBJS)
	$(call say,LINK,$@)
	$(Q)$(HOSTCC) -o $@ $^ -lZydis

$(T)/capsule: $(EM)/obj/tests/emul/capsule.o $(EM_OBJS)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -o $@ $^

check-emul: $(EM)/native $(EM)/zydis $(T)/capsule ## the emulator against the processor and Zydis
	@tests/emul/check $(EM) $(T) $(NATIVE_CASES) $(ZYDIS_CASES) $(B)/check-emul.result

check-emul-long: $(EM)/native $(EM)/zydis $(T)/capsule
	@tests/emul/check $(EM) $(T) $(NATIVE_LONG) $(ZYDIS_LONG) $(B)/check-emul-long.result

bench-emul: $(EM)/bench ## speed of decoding beside Zydis, cost of an emulation
	@$(EM)/bench

coverage: ## branch coverage of vmm/emul
	@tests/emul/coverage $(B)/coverage

.PHONY: check-emul check-emul-long bench-emul coverage
-include $(shell find $(EM)/obj -name '*.d' 2>/dev/null)
