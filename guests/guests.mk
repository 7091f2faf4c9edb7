# SPDX-License-Identifier: BSD-2-Clause
#
# build/guests/NAME.elf: each guest is the runtime in guests/lib and the files of one folder, in a
# 32-bit or a 64-bit flavour. Files NAME32.* or NAME64.* belong to one flavour only.

GUESTS32 := hello32:hello check32:check hostile32:hostile
GUESTS64 := hello64:hello bench:bench check64:check hostile64:hostile memory:memory

GFLAGS   := $(BASE) -O2 -ffreestanding -fno-pic -fno-pie -mgeneral-regs-only \
            -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
            -fno-tree-loop-distribute-patterns -fno-builtin -fno-omit-frame-pointer \
            -ffunction-sections -fdata-sections -MMD -MP
ifneq ($(findstring clang,$(CC)),)
GFLAGS   := $(filter-out -fno-tree-loop-distribute-patterns -fno-builtin,$(GFLAGS))
endif
GFLAGS32 := $(GFLAGS) -m32 -march=i686
GFLAGS64 := $(GFLAGS) -m64 -march=x86-64 -mcmodel=small -mno-red-zone

# Sources of a folder without those of the other flavour: $(call guest_srcs,FOLDER,OTHER)
guest_srcs = $(filter-out %$(2).c %$(2).S,$(wildcard $(1)/*.c $(1)/*.S))
GLIB := lib/print.c

$(B)/guests/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(GFLAGS32) $(GFLAGS64)' | cmp -s - $@ || \
	    echo '$(CC) $(GFLAGS32) $(GFLAGS64)' > $@

# Rules of one flavour: $(call guest_flavour,BITS,OTHER,EMULATION,GUESTS)
define guest_flavour
GLIB_OBJS$(1) := $$(patsubst %,$(B)/guests/$(1)/%.o,$$(call guest_srcs,guests/lib,$(2)) $(GLIB))

$(B)/guests/$(1)/%.c.o: %.c $(B)/guests/flags
	$$(call say,CC$(1),$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(GFLAGS$(1)) -c $$< -o $$@

$(B)/guests/$(1)/%.S.o: %.S $(B)/guests/flags
	$$(call say,AS$(1),$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(GFLAGS$(1)) -c $$< -o $$@

$(foreach g,$(4),$(call guest_program,$(1),$(2),$(3),$(word 1,$(subst :, ,$(g))),$(word 2,$(subst :, ,$(g)))))
endef

# One program: $(call guest_program,BITS,OTHER,EMULATION,NAME,FOLDER)
define guest_program

$(4)_OBJS := $$(patsubst %,$(B)/guests/$(1)/%.o,$$(call guest_srcs,guests/$(5),$(2)))
-include $$($(4)_OBJS:.o=.d)

$(B)/guests/$(4).elf: $$($(4)_OBJS) $$(GLIB_OBJS$(1)) guests/lib/guest.ld
	$$(call say,LD$(1),$$@)
	$$(Q)$$(LD) -m $(3) -nostdlib -static -z noexecstack -z max-page-size=4096 --build-id=none --gc-sections \
	    -T guests/lib/guest.ld -o $$@ $$($(4)_OBJS) $$(GLIB_OBJS$(1))

GUEST_ELFS += $(B)/guests/$(4).elf
endef

GUEST_ELFS :=
$(eval $(call guest_flavour,32,64,elf_i386,$(GUESTS32)))
$(eval $(call guest_flavour,64,32,elf_x86_64,$(GUESTS64)))
-include $(GLIB_OBJS32:.o=.d) $(GLIB_OBJS64:.o=.d)

.PHONY: guests
guests: $(GUEST_ELFS) ## build the guests in guests/
