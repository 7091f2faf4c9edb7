# SPDX-License-Identifier: BSD-2-Clause
#
# The loaders as a shared library, for tests in Python (tests/load/loading.py).

LOADLIB_SRCS := $(PURE_load) lib/print.c lib/parse.c tests/unit/host.c
LOADLIB_OBJS := $(LOADLIB_SRCS:%.c=$(T)/pic/%.o)
LOADLIB_FLAGS := $(HOST_BASE) -O1 -fPIC -fsanitize=undefined -fno-sanitize-recover=all -I$(B)

$(T)/pic/%.o: %.c $(T)/flags $(DSDT).inc
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(LOADLIB_FLAGS) -c $< -o $@

$(T)/libload.so: $(LOADLIB_OBJS)
	$(call say,LINK,$@)
	$(Q)$(HOSTCC) -shared -fsanitize=undefined -o $@ $(LOADLIB_OBJS)

-include $(LOADLIB_OBJS:.o=.d)
