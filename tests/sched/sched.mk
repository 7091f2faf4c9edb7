# SPDX-License-Identifier: BSD-2-Clause
#
#   make sched-race [SCHED_SECONDS=n]   the scheduler, its CPUs threads, under the thread sanitizer
#   make watch-race                     the recorder likewise
#   make sched-fair                     the shares that the scheduler gives, in simulated time

CHECK_TARGETS += sched-race watch-race sched-fair
SCHED_SECONDS ?= 2
SCHED_SRCS := tests/sched/race.c vmm/sched.c
SCHED_HDRS := $(wildcard tests/sched/*.h vmm/*.h arch/x86_64/*.h lib/*.h)
FAIR_SRCS := tests/sched/fair.c tests/sched/sim.c vmm/sched.c
WATCH_TIMES := 500
WATCH_SRCS := tests/sched/watch.c vmm/watch.c lib/lock.c

$(B)/tsan/sched-race: $(SCHED_SRCS)
$(B)/tsan/watch-race: $(WATCH_SRCS)
$(B)/tsan/sched-race $(B)/tsan/watch-race: $(SCHED_HDRS)
	$(call say,TSANCC,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(HOST_BASE) -MF $@.d -O1 -fsanitize=thread -pthread -include tests/sched/cpu.h \
	    -o $@ $(filter %.c,$^)

sched-race: $(B)/tsan/sched-race ## the scheduler under the thread sanitizer
	@if timeout 120 setarch -R $< $(SCHED_SECONDS); then echo "1 0"; else echo "0 1"; fi \
	    | tee -a /dev/stderr | tail -n 1 >$(B)/$@.result; grep -q '^1 0' $(B)/$@.result

watch-race: $(B)/tsan/watch-race ## the recorder under the thread sanitizer
	@if timeout 120 setarch -R $< $(WATCH_TIMES); then echo "1 0"; else echo "0 1"; fi \
	    | tee -a /dev/stderr | tail -n 1 >$(B)/$@.result; grep -q '^1 0' $(B)/$@.result

$(T)/sched-fair: $(FAIR_SRCS) $(SCHED_HDRS)
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(HOST_BASE) -MF $@.d -O1 -fsanitize=undefined -fno-sanitize-recover=all \
	    -include tests/sched/cpu.h -o $@ $(filter %.c,$^) -lm

sched-fair: $(T)/sched-fair ## the shares that the scheduler gives
	@(timeout 300 $<; [ $$? -lt 2 ] || echo "0 1") | tee -a /dev/stderr | tail -n 1 >$(B)/$@.result; \
	    grep -q ' 0$$' $(B)/$@.result

.PHONY: sched-race watch-race sched-fair
