# SPDX-License-Identifier: BSD-2-Clause
#
#   make sched-race [SCHED_SECONDS=n]   the scheduler, its CPUs threads, under the thread sanitizer

CHECK_TARGETS += sched-race
SCHED_SECONDS ?= 2
SCHED_SRCS := tests/sched/race.c vmm/sched.c lib/lock.c

$(B)/tsan/sched-race: $(SCHED_SRCS) tests/sched/cpu.h $(wildcard vmm/*.h arch/x86_64/*.h lib/*.h)
	$(call say,TSANCC,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(HOST_BASE) -MF $@.d -O1 -fsanitize=thread -pthread -include tests/sched/cpu.h \
	    -o $@ $(SCHED_SRCS)

sched-race: $(B)/tsan/sched-race ## the scheduler under the thread sanitizer
	@if timeout 120 setarch -R $< $(SCHED_SECONDS); then echo "1 0"; else echo "0 1"; fi \
	    | tee -a /dev/stderr | tail -n 1 >$(B)/sched-race.result; grep -q '^1 0' $(B)/sched-race.result

.PHONY: sched-race
