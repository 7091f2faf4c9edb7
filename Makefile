# SPDX-License-Identifier: BSD-2-Clause
#
# make            build/skep.elf
# make help       every target
#
# Words: CROSS_COMPILE=prefix-   CC=clang   CHECKED=1 (assertions on the entry path)   V=1

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

B := build
CROSS_COMPILE ?=
ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)gcc
endif
LD      := $(CROSS_COMPILE)ld
NM      := $(CROSS_COMPILE)nm
OBJCOPY := $(CROSS_COMPILE)objcopy
HOSTCC  ?= gcc
Q := $(if $(V),,@)
say = @printf '  %-8s %s\n' $(1) $(2)

VERSION := $(shell git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)

# ---- the hypervisor ---------------------------------------------------------------------------

ROOMS := boot arch/x86_64 arch/x86_64/vmx arch/x86_64/svm drivers/uart lib mm \
         vmm vmm/emul vmm/dev vmm/load monitor
SRCS  := $(foreach r,$(ROOMS),$(wildcard $(r)/*.c))
ASMS  := $(foreach r,$(ROOMS),$(wildcard $(r)/*.S))
OBJS  := $(SRCS:%.c=$(B)/obj/%.o) $(ASMS:%.S=$(B)/obj/%.S.o)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
        -Wpointer-arith -Wwrite-strings -Wundef -Wold-style-definition
# What both compilers and both worlds (hypervisor, host tests) share.
BASE := -std=gnu11 -I. -g $(WARN) -fno-common -fno-strict-aliasing -fwrapv

# Small everywhere but on the way of an exit: the image is to stay below 256 KiB
# (tests/checks/test_image.py).
KFLAGS := $(BASE) -I$(B) -Oz -m64 -march=x86-64 -ffreestanding -fbuiltin -fno-pic -fno-pie -mcmodel=kernel \
          -mno-red-zone -mgeneral-regs-only -fstack-protector -fcf-protection=none \
          -fno-asynchronous-unwind-tables -fno-omit-frame-pointer -ffunction-sections \
          -fdata-sections -fno-jump-tables -mstack-protector-guard=global \
          $(if $(findstring clang,$(CC)),-mstack-alignment=8,-mpreferred-stack-boundary=3) -MMD -MP $(if $(CHECKED),-DCHECKED=1,-DCHECKED=0)
KFLAGS += $(if $(findstring clang,$(CC)),,-fstack-usage -malign-data=abi -fno-shrink-wrap -fno-tree-loop-im)

HOT := vmm/run vmm/exits vmm/skip vmm/board vmm/emulate vmm/msr \
       vmm/dev/bus vmm/dev/vuart vmm/dev/vlapic vmm/dev/vlapic_regs \
       \
       arch/x86_64/vmx/run arch/x86_64/vmx/event arch/x86_64/vmx/regs \
       arch/x86_64/svm/run arch/x86_64/svm/event arch/x86_64/svm/regs \
       mm/space_fault mm/space_harvest mm/frames
$(HOT:%=$(B)/obj/%.o): KFLAGS += -O2 -fjump-tables -fomit-frame-pointer -falign-functions=1 \
    $(if $(findstring clang,$(CC)),,-fshrink-wrap -ftree-loop-im -falign-jumps=1 -falign-loops=1 -falign-labels=1)
# The functions that the compiler makes of the others' copies must not be made of themselves.
$(B)/obj/lib/string.o: KFLAGS += -fno-builtin

all: $(B)/skep.elf ## build the hypervisor (the default)

# Rebuild everything when the flags change; otherwise what changed.
$(B)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(KFLAGS)' | cmp -s - $@ || echo '$(CC) $(KFLAGS)' > $@

$(B)/obj/%.o: %.c $(B)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(KFLAGS) -c $< -o $@

$(B)/obj/%.S.o: %.S $(B)/flags
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(KFLAGS) -D__ASSEMBLER__=1 -c $< -o $@

FORCE:
.PHONY: FORCE all help clean

-include $(OBJS:.o=.d)

# Each part of the tree adds its own targets.
-include boot/boot.mk guests/guests.mk vmm/load/load.mk tests/tests.mk tools/tools.mk

help: ## show this list
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

clean: ## remove what was built (downloads stay)
	$(Q)find $(B) -mindepth 1 -maxdepth 1 ! -name cache -exec rm -rf {} + 2>/dev/null || true
