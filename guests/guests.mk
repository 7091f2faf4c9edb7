# SPDX-License-Identifier: BSD-2-Clause
#
# build/guests/NAME.elf: each guest is the runtime in guests/lib and the files of one folder, in a
# 32-bit or a 64-bit flavour. Files NAME32.* or NAME64.* belong to one flavour only.

GUESTS32 := hello32:hello check32:check hostile32:hostile forms32:forms walk32:walk
GUESTS64 := hello64:hello bench:bench check64:check hostile64:hostile spin:spin forms64:forms walk64:walk memory:memory

GFLAGS   := $(BASE) -O2 -ffreestanding -fno-pic -fno-pie -mgeneral-regs-only \
            -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
            -fno-tree-loop-distribute-patterns -fno-builtin -fno-omit-frame-pointer \
            -ffunction-sections -fdata-sections -MMD -MP
ifneq ($(findstring clang,$(CC)),)
GFLAGS   := $(filter-out -fno-tree-loop-distribute-patterns -fno-builtin,$(GFLAGS))
endif
GFLAGS32 = $(GFLAGS) -m32 -march=i686
GFLAGS64 = $(GFLAGS) -m64 -march=x86-64 -mcmodel=small -mno-red-zone

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

# guests/forms runs what the opcode tables of vmm/emul hold.
$(B)/guests/forms_list.h: $(B)/emul/forms_list
	$(Q)$< > $@
$(B)/guests/32/guests/forms/table.c.o $(B)/guests/64/guests/forms/table.c.o: GFLAGS += -I$(B)/guests
$(B)/guests/32/guests/forms/table.c.o $(B)/guests/64/guests/forms/table.c.o: $(B)/guests/forms_list.h

# guests/promise: one program a boot protocol, NAME:BITS:BASE:SOURCES. Its 64-bit objects run at the
# top of the address space too.
PROMISES := multiboot:32:0x100000:multiboot multiboot2:32:0x100000:multiboot2 \
            pvh:32:0x100000:pvh+startinfo elf32:32:0x100000:plain32+startinfo \
            elf64:64:0x100000:plain64+startinfo linux32:32:0x100000:linux32 \
            linux64:64:0x100200:linux64 freebsd32:32:0x400000:freebsd32+freebsd \
            freebsd64:64:0xffffffff80200000:freebsd64+freebsd
PFLAGS32 := $(GFLAGS32)
PFLAGS64 := $(filter-out -mcmodel=small,$(GFLAGS64)) -mcmodel=kernel
EMULATION32 := elf_i386
EMULATION64 := elf_x86_64
PLIB = guests/promise/entry$(1).S guests/promise/promise.c guests/promise/state.c \
       guests/promise/firmware.c guests/lib/console.c guests/lib/string.c lib/print.c \
       $(wildcard guests/lib/div$(1).c)

define promise_flavour
$(B)/promise/$(1)/%.c.o: %.c $(B)/guests/flags
	$$(call say,CC$(1),$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(PFLAGS$(1)) -c $$< -o $$@

$(B)/promise/$(1)/%.S.o: %.S $(B)/guests/flags
	$$(call say,AS$(1),$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(PFLAGS$(1)) -c $$< -o $$@
endef
$(foreach bits,32 64,$(eval $(call promise_flavour,$(bits))))

# One program: $(call promise_program,NAME,BITS,BASE,SOURCES)
define promise_program
promise-$(1)_OBJS := $$(patsubst %,$(B)/promise/$(2)/%.o,$(call PLIB,$(2)) \
                     $(patsubst %,guests/promise/%.c,$(subst +, ,$(4))))
-include $$(promise-$(1)_OBJS:.o=.d)

$(B)/guests/promise-$(1).elf: $$(promise-$(1)_OBJS) guests/promise/promise.ld
	$$(call say,LD$(2),$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(LD) -m $(EMULATION$(2)) -nostdlib -static -z noexecstack -z max-page-size=4096 \
	    --build-id=none --no-warn-rwx-segments --defsym=BASE=$(3) -T guests/promise/promise.ld -o $$@ \
	    $$(promise-$(1)_OBJS)

GUEST_ELFS += $(B)/guests/promise-$(1).elf
endef
part = $(strip $(word $(1),$(subst :, ,$(2))))
$(foreach p,$(PROMISES),$(eval $(call promise_program,$(call part,1,$p),$(call part,2,$p),$(strip \
    $(call part,3,$p)),$(call part,4,$p))))

.PHONY: guests
guests: $(GUEST_ELFS) ## build the guests in guests/
