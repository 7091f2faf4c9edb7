/* SPDX-License-Identifier: BSD-2-Clause */
/* 64-bit division for 32-bit code: what compilers call __udivdi3 and its kin. */
#include "lib/types.h"

u64 __udivdi3(u64 n, u64 d);
u64 __umoddi3(u64 n, u64 d);
u64 __udivmoddi4(u64 n, u64 d, u64 *rem);

u64 __udivmoddi4(u64 n, u64 d, u64 *rem)
{
    u64 quotient = 0;
    u64 r = 0;

    for (int i = 63; i >= 0; i--) {
        r = r << 1 | (n >> i & 1);
        if (r >= d) {
            r -= d;
            quotient |= BIT(i);
        }
    }
    if (rem)
        *rem = r;
    return quotient;
}

u64 __udivdi3(u64 n, u64 d)
{
    return __udivmoddi4(n, d, NULL);
}

u64 __umoddi3(u64 n, u64 d)
{
    u64 rem;

    __udivmoddi4(n, d, &rem);
    return rem;
}
