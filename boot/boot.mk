# SPDX-License-Identifier: BSD-2-Clause
#
# The link. Twice: the first pass fixes the addresses of the text, from which the symbol table for
# backtraces is made; it lies behind all text, so the second pass moves none of it.

# From the first byte of text to the last of data, gaps up to page boundaries included, at most. Clang's
# code is larger, and assertions take room.
IMAGE_LIMIT := $(if $(findstring clang,$(CC))$(CHECKED),0x60000,0x43000)
LDFLAGS := -T linker.ld --defsym=IMAGE_LIMIT=$(IMAGE_LIMIT) \
           -nostdlib -static --gc-sections -z max-page-size=4096 --build-id=none \
           --no-warn-rwx-segments --fatal-warnings
VERSION_OBJ := $(B)/obj/version.o
OBJS += $(VERSION_OBJ)

version_text = extern const char skep_version[]; const char skep_version[] = "$(VERSION)";
$(B)/version.c: FORCE
	@mkdir -p $(@D); echo '$(version_text)' | cmp -s - $@ || echo '$(version_text)' > $@

$(VERSION_OBJ): $(B)/version.c $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(KFLAGS) -c $< -o $@

# Every object that exists goes into the link; a removed source must not leave its object there.
$(B)/objects: FORCE
	@mkdir -p $(@D); echo '$(OBJS)' | cmp -s - $@ || echo '$(OBJS)' > $@

$(B)/obj/symbols0.o: boot/symbols.awk $(B)/flags
	@mkdir -p $(@D)
	$(Q)LC_ALL=C awk -f boot/symbols.awk < /dev/null > $(@:.o=.S)
	$(Q)$(CC) $(KFLAGS) -c $(@:.o=.S) -o $@

$(B)/skep.pass1: $(OBJS) $(B)/obj/symbols0.o linker.ld $(B)/objects
	$(Q)$(LD) $(LDFLAGS) -o $@ $(OBJS) $(B)/obj/symbols0.o

$(B)/obj/symbols.o: $(B)/skep.pass1 boot/symbols.awk
	$(Q)$(NM) -n $< | LC_ALL=C awk -f boot/symbols.awk > $(@:.o=.S)
	$(Q)$(CC) $(KFLAGS) -c $(@:.o=.S) -o $@

# skep.debug is the same with the debugger's sections, which a loader would only have to read.
$(B)/skep.elf: $(B)/obj/symbols.o
	$(call say,LD,$@)
	$(Q)$(LD) $(LDFLAGS) -Map=$(B)/skep.map -o $(B)/skep.debug $(OBJS) $<
	$(Q)$(OBJCOPY) --strip-debug $(B)/skep.debug $@

$(B)/skep.map: $(B)/skep.elf ;
