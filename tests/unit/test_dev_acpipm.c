/* SPDX-License-Identifier: BSD-2-Clause */
/* ACPI PM1 registers and timer against ACPI 6.4, 4.8.3. */
#include "tests/unit/dev_board.h"
#include "vmm/dev/acpipm.h"
#include "vmm/dev/ticks.h"

struct bench {
    struct board b;
    struct acpipm a;
    unsigned sleeps, type;
};

static void on_sleep(void *arg, unsigned type)
{
    struct bench *t = arg;

    t->sleeps++;
    t->type = type;
}

static void start(struct bench *t, bool timer32)
{
    t->sleeps = 0;
    t->type = 99;
    board_init(&t->b);
    acpipm_init(&t->a, timer32, board_irq(&t->b, ACPIPM_SCI), board_timer_out(&t->b), on_sleep, t);
    assert_int_equal(acpipm_attach(&t->a, &t->b.ports), OK);
}

static u16 in16(struct bench *t, u16 port)
{
    return (u16)board_access(&t->b, &t->b.ports, port, 2, false, 0);
}

static void timer_rate_and_width(void **state)
{
    struct bench t;
    u32 a, b;

    (void)state;
    start(&t, true);
    a = in32(&t.b, ACPIPM_TMR);
    t.b.now += 60 * NS_S;
    b = in32(&t.b, ACPIPM_TMR);
    assert_in_range(b - a, 214772727 - 1, 214772727 + 1); /* 60 s of 315/88 MHz */
    t.b.now = ticks_to_ns(TICK_RATE_PM, 0xffffffff);
    assert_int_equal(in32(&t.b, ACPIPM_TMR), 0xffffffff);
    t.b.now = ticks_to_ns(TICK_RATE_PM, 0x100000000ull);
    assert_int_equal(in32(&t.b, ACPIPM_TMR), 0);
    t.b.now = ticks_to_ns(TICK_RATE_PM, 0x12345678);
    assert_int_equal(in8(&t.b, ACPIPM_TMR + 1), 0x56);
    assert_int_equal(in16(&t, ACPIPM_TMR + 2), 0x1234);
    out32(&t.b, ACPIPM_TMR, 0);
    assert_int_equal(in32(&t.b, ACPIPM_TMR), 0x12345678);
    start(&t, false);
    t.b.now = ticks_to_ns(TICK_RATE_PM, 0x12345678);
    assert_int_equal(in32(&t.b, ACPIPM_TMR), 0x345678);
}

static void status_and_enable(void **state)
{
    struct bench t;

    (void)state;
    start(&t, true);
    assert_int_equal(in16(&t, ACPIPM_EVT), 0);
    out16(&t.b, ACPIPM_EVT + 2, 0xffff);
    assert_int_equal(in16(&t, ACPIPM_EVT + 2), 0x0721);
    out16(&t.b, ACPIPM_EVT + 2, 0x0100);
    assert_false(t.b.level[ACPIPM_SCI]);
    acpipm_power_button(&t.a, t.b.now);
    assert_true(t.b.level[ACPIPM_SCI]);
    assert_int_equal(in16(&t, ACPIPM_EVT), 0x0100);
    out16(&t.b, ACPIPM_EVT, 0x0020); /* another bit */
    assert_true(t.b.level[ACPIPM_SCI]);
    out16(&t.b, ACPIPM_EVT, 0x0100); /* ones clear */
    assert_false(t.b.level[ACPIPM_SCI]);
    assert_int_equal(in16(&t, ACPIPM_EVT), 0);
    acpipm_power_button(&t.a, t.b.now);
    out8(&t.b, ACPIPM_EVT + 1, 0x01); /* by byte */
    assert_int_equal(in16(&t, ACPIPM_EVT), 0);
    acpipm_power_button(&t.a, t.b.now);
    out32(&t.b, ACPIPM_EVT, 0x01000100); /* both registers at once */
    assert_false(t.b.level[ACPIPM_SCI]);
    assert_int_equal(in32(&t.b, ACPIPM_EVT), 0x01000000);
    assert_true(acpipm_button_enabled(&t.a));
    /* Not enabled: no interrupt, but the status; enabling it then interrupts. */
    out16(&t.b, ACPIPM_EVT + 2, 0);
    assert_false(acpipm_button_enabled(&t.a));
    acpipm_power_button(&t.a, t.b.now);
    assert_false(t.b.level[ACPIPM_SCI]);
    out16(&t.b, ACPIPM_EVT + 2, 0x0100);
    assert_true(t.b.level[ACPIPM_SCI]);
}

static void sleep_control(void **state)
{
    struct bench t;

    (void)state;
    start(&t, true);
    assert_int_equal(in16(&t, ACPIPM_CNT), 1); /* always in ACPI mode */
    out16(&t.b, ACPIPM_CNT, 0);
    assert_int_equal(in16(&t, ACPIPM_CNT), 1);
    out16(&t.b, ACPIPM_CNT, ACPIPM_SLP_S5 << 10 | 1);
    assert_int_equal(t.sleeps, 0);
    assert_int_equal(in16(&t, ACPIPM_CNT), ACPIPM_SLP_S5 << 10 | 1);
    out16(&t.b, ACPIPM_CNT, ACPIPM_SLP_S5 << 10 | 1 << 13 | 1);
    assert_int_equal(t.sleeps, 1);
    assert_int_equal(t.type, ACPIPM_SLP_S5);
    assert_int_equal(in16(&t, ACPIPM_CNT) & 1 << 13, 0); /* SLP_EN reads as zero */
    out8(&t.b, ACPIPM_CNT + 1, 0x20 | 3 << 2);           /* by byte: type 3 */
    assert_int_equal(t.sleeps, 2);
    assert_int_equal(t.type, 3);
    out8(&t.b, ACPIPM_CNT, 0xff);
    assert_int_equal(t.sleeps, 2);
}

/* TMR_STS: at each change of the top bit, with an interrupt if that is enabled. */
static void timer_carry(void **state)
{
    struct bench t;
    u64 half;

    (void)state;
    for (unsigned wide = 0; wide < 2; wide++) {
        start(&t, wide);
        half = ticks_to_ns(TICK_RATE_PM, 1ull << (wide ? 31 : 23));
        assert_int_equal(acpipm_deadline(&t.a), DEADLINE_NONE);
        t.b.now = half - 1;
        assert_int_equal(in16(&t, ACPIPM_EVT), 0);
        t.b.now = half;
        assert_int_equal(in16(&t, ACPIPM_EVT), 1);
        out16(&t.b, ACPIPM_EVT, 1);
        out16(&t.b, ACPIPM_EVT + 2, 1);
        assert_in_range(acpipm_deadline(&t.a), 2 * half - 2, 2 * half);
        t.b.now = acpipm_deadline(&t.a);
        acpipm_tick(&t.a, t.b.now);
        assert_true(t.b.level[ACPIPM_SCI]);
        assert_int_equal(acpipm_deadline(&t.a), DEADLINE_NONE);
        out16(&t.b, ACPIPM_EVT, 1);
        assert_false(t.b.level[ACPIPM_SCI]);
        assert_true(acpipm_deadline(&t.a) > t.b.now);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timer_rate_and_width),
        cmocka_unit_test(status_and_enable),
        cmocka_unit_test(sleep_control),
        cmocka_unit_test(timer_carry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
