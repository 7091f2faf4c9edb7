# SPDX-License-Identifier: BSD-2-Clause
#
# The guests' DSDT: C preprocessor, iasl, then bytes that vmm/load/dsdt.c takes in.

IASL ?= iasl
DSDT := $(B)/dsdt

$(DSDT).inc: vmm/load/dsdt.asl vmm/platform.h vmm/load/load.mk
	$(call say,IASL,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -E -P -x c -undef -nostdinc -I. $< -o $(DSDT).asl
	$(Q)$(IASL) -p $(DSDT) $(DSDT).asl > $(DSDT).log 2>&1 || { cat $(DSDT).log; exit 1; }
	$(Q)od -An -v -tu1 $(DSDT).aml | sed 's/[0-9][0-9]*/&,/g' > $@

$(B)/obj/vmm/load/dsdt.o $(B)/host/obj/vmm/load/dsdt.o $(B)/fuzz/obj/vmm/load/dsdt.o: $(DSDT).inc
$(B)/host/obj/vmm/load/dsdt.o: TFLAGS += -I$(B)
$(B)/fuzz/obj/vmm/load/dsdt.o: FFLAGS += -I$(B)
