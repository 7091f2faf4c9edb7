# SPDX-License-Identifier: BSD-2-Clause
#
# Images, hosts and whole-machine tests. What these need beyond make is installed by tools/setup.
#
#   make run GUEST=NAME (GUEST=help lists them)
#   make run [HOST=bochs] [KERNEL=file] [INITRD=file|none] [CMDLINE=text] [MEM=512M] [VCPUS=1]
#            [CPUS=n] [FIRMWARE=uefi] [MODEL=name] [ARCH=i386] [BARE=1]
#   make check [ONLY=expression]

export GUEST HOST KERNEL INITRD CMDLINE MEM VCPUS CPUS FIRMWARE MODEL ARCH BARE

PYTHON := /usr/bin/python3
GUEST_ARCH := $(or $(ARCH),amd64)

setup-run setup-bochs setup-check: setup-%:
	@tools/setup $*

$(B)/cache/%/vmlinuz:
	@tools/fetch $*

$(B)/guest/initrd-%: $(B)/cache/%/vmlinuz tools/mkinitrd $(wildcard tools/initrd/*)
	$(call say,CPIO,$@)
	@mkdir -p $(@D)
	$(Q)tools/mkinitrd $* $@

.PRECIOUS: $(B)/cache/%/vmlinuz $(B)/guest/initrd-%

# A sub-make, because the compiler may be there only after the set-up.
run: ## boot a guest in an emulator and join its console; GUEST=help lists the guests
ifeq ($(GUEST),help)
	@tools/run
else
	@tools/setup run $(if $(filter bochs,$(HOST)),bochs)
	@$(if $(GUEST),$(PYTHON) tools/guests.py)
	@$(MAKE) --no-print-directory $(if $(BARE),,$(B)/skep.elf) \
	    $(if $(GUEST),,$(B)/guest/initrd-$(GUEST_ARCH))
	@tools/run
endif

iso: ## build/skep.iso, which GRUB boots on BIOS and UEFI machines
	@tools/setup run
	@$(MAKE) --no-print-directory $(B)/skep.elf guests $(B)/guest/initrd-$(GUEST_ARCH)
	$(call say,ISO,$(B)/skep.iso)
	@$(PYTHON) tools/image.py $(B)/skep.iso

check: ## install what is missing and run every test
	@tools/setup check
	@tools/check $(if $(ONLY),"$(ONLY)")

check-long: ## what takes too long for every day: each fuzz target for ten minutes, and more
	@tools/setup check
	@tools/check --long $(if $(ONLY),"$(ONLY)")

bench: ## instructions per operation on QEMU and Bochs, beside other hypervisors
	@tools/setup check
	@$(MAKE) --no-print-directory $(B)/skep.elf guests
	@$(PYTHON) tools/bench.py

bench-linux: ## Linux to init under skep and bare, in instructions
	@tools/setup check
	@$(MAKE) --no-print-directory $(B)/skep.elf guests $(B)/guest/initrd-amd64
	@$(PYTHON) tools/bench_linux.py

.PHONY: run iso check check-long bench bench-linux setup-run setup-bochs setup-check
