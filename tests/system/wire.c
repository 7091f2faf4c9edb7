/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preloaded into QEMU: modem lines for a serial line that is a pseudo-terminal, which has none. CTS
 * is on while there is no file $WIRE/cts-off; while RTS is off there is a file $WIRE/rts-off.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *path(const char *name)
{
    static char text[4096];

    snprintf(text, sizeof(text), "%s/%s", getenv("WIRE"), name);
    return text;
}

int ioctl(int fd, unsigned long request, ...)
{
    static int (*next)(int, unsigned long, ...);
    va_list ap;
    void *arg;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "ioctl");
    if (request == TIOCMGET) {
        *(int *)arg = TIOCM_DSR | TIOCM_CAR | (access(path("cts-off"), F_OK) ? TIOCM_CTS : 0);
        return 0;
    }
    if (request == TIOCMSET && (*(int *)arg & TIOCM_RTS))
        return unlink(path("rts-off")), 0;
    if (request == TIOCMSET)
        return close(open(path("rts-off"), O_WRONLY | O_CREAT, 0600));
    return next(fd, request, arg);
}
