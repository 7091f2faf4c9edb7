/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `loop DEVICE BYTES`: a serial port's self-test in loop-back (TIOCM_LOOP): the modem lines that
 * come back crossed, then that many bytes written and read at once. Prints one line. No C library.
 */
#include "tools/initrd/program.h"
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/tty_flags.h>

#define TIOCM_DTR  0x002
#define TIOCM_RTS  0x004
#define TIOCM_CTS  0x020
#define TIOCM_DSR  0x100
#define TIOCM_OUT2 0x4000 /* gates the interrupt */
#define TIOCM_LOOP 0x8000

static unsigned char pattern(unsigned long i)
{
    return (unsigned char)(i * 167 + (i >> 8) * 13 + 5);
}

static int modem(int fd, int lines)
{
    int now = 0;

    lines |= TIOCM_LOOP | TIOCM_OUT2;
    call(__NR_ioctl, fd, TIOCMSET, (long)&lines, 0);
    call(__NR_ioctl, fd, TIOCMGET, (long)&now, 0);
    return now & (TIOCM_CTS | TIOCM_DSR);
}

/* Writes as the port takes it and reads as it comes, until all is back; how many are wrong. */
static unsigned long exchange(int fd, unsigned long bytes)
{
    static unsigned char out[1024], in[4096];
    unsigned long sent = 0, got = 0, wrong = 0;

    while (got < bytes) {
        struct pollfd p = {fd, (short)(POLLIN | (sent < bytes ? POLLOUT : 0)), 0};
        long n;

        must(call(__NR_poll, (long)&p, 1, 20000, 0) == 1, "nothing comes back any more");
        if (p.revents & POLLOUT) {
            unsigned long most = bytes - sent < sizeof(out) ? bytes - sent : sizeof(out);

            for (unsigned long i = 0; i < most; i++)
                out[i] = pattern(sent + i);
            n = call(__NR_write, fd, (long)out, (long)most, 0);
            sent += n > 0 ? (unsigned long)n : 0;
        }
        n = call(__NR_read, fd, (long)in, sizeof(in), 0);
        for (long i = 0; i < n; i++)
            wrong += in[i] != pattern(got + (unsigned long)i);
        got += n > 0 ? (unsigned long)n : 0;
    }
    return wrong;
}

int program(long count, char **word)
{
    struct termios t = {.c_cflag = B115200 | CS8 | CREAD | CLOCAL};
    unsigned long bytes;
    int fd;

    must(count == 3, "wanted are a device and a number of bytes");
    bytes = number(word[2]);
    fd = (int)call(__NR_open, (long)word[1], O_RDWR | O_NOCTTY | O_NONBLOCK, 0, 0);
    must(fd >= 0, "the device cannot be opened");
    must(call(__NR_ioctl, fd, TCSETS, (long)&t, 0) == 0, "it is no terminal");
    must(modem(fd, 0) == 0, "CTS or DSR is on with nothing to drive it");
    must(modem(fd, TIOCM_RTS) == TIOCM_CTS, "RTS does not come back as CTS");
    must(modem(fd, TIOCM_DTR) == TIOCM_DSR, "DTR does not come back as DSR");
    modem(fd, TIOCM_DTR | TIOCM_RTS);
    must(exchange(fd, bytes) == 0, "bytes came back wrong");
    say("loop: ");
    say_number(bytes);
    say(" bytes came back as they went\n");
    return 0;
}
