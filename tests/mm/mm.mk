# SPDX-License-Identifier: BSD-2-Clause
#
#   make races [RACE_SECONDS=n]   vCPUs, devices and permission changes on one guest space, in
#                                 threads, under the thread sanitizer

RACE_SECONDS ?= 10
CHECK_TARGETS += races
TS := $(B)/tsan
TSFLAGS := $(HOST_BASE) -O1 -fsanitize=thread -pthread -include tests/mm/yield.h
RACE_SRCS := tests/mm/race.c tests/unit/host.c lib/lock.c $(PURE_mm)

$(TS)/obj/%.o: %.c $(T)/flags
	$(call say,TSANCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(TSFLAGS) -c $< -o $@

$(TS)/race: $(RACE_SRCS:%.c=$(TS)/obj/%.o)
	$(call say,LINK,$@)
	$(Q)$(HOSTCC) $(TSFLAGS) -o $@ $^

# The sanitizer wants its shadow where address randomisation may have put something else.
races: $(TS)/race ## memory management under the thread sanitizer
	@if timeout 120 setarch -R $(TS)/race $(RACE_SECONDS); then echo "8 0"; else echo "0 8"; fi \
	    | tee -a /dev/stderr | tail -n 1 >$(B)/races.result; grep -q '^8 0' $(B)/races.result

.PHONY: races
-include $(shell find $(TS)/obj -name '*.d' 2>/dev/null)
