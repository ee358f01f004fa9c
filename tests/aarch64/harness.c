/* The switch of AArch64, by itself: two stacks that go back and forth a million times, each with values of its own
 * in every register that a call must keep (AAPCS64 6.1.1, 6.1.2). `switch.h` is made by switch.py.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "switch.h"

/* Fills x19 to x28, x29 and d8 to d15 from the 19 words at `values`, calls `function(argument)`, and writes what is in
 * these registers then to `after`. */
void call_with(void (*function)(unsigned long *), unsigned long *argument, const uint64_t *values, uint64_t *after);
__asm__(".globl call_with\n"
        "call_with:\n"
        "stp x29, x30, [sp, #-176]!\n"
        "stp x19, x20, [sp, #16]\n stp x21, x22, [sp, #32]\n stp x23, x24, [sp, #48]\n"
        "stp x25, x26, [sp, #64]\n stp x27, x28, [sp, #80]\n"
        "stp d8, d9, [sp, #96]\n stp d10, d11, [sp, #112]\n stp d12, d13, [sp, #128]\n stp d14, d15, [sp, #144]\n"
        "str x3, [sp, #160]\n"
        "mov x9, x0\n mov x0, x1\n"
        "ldp x19, x20, [x2]\n ldp x21, x22, [x2, #16]\n ldp x23, x24, [x2, #32]\n ldp x25, x26, [x2, #48]\n"
        "ldp x27, x28, [x2, #64]\n ldr x29, [x2, #80]\n"
        "ldp d8, d9, [x2, #88]\n ldp d10, d11, [x2, #104]\n ldp d12, d13, [x2, #120]\n ldp d14, d15, [x2, #136]\n"
        "blr x9\n"
        "ldr x3, [sp, #160]\n"
        "stp x19, x20, [x3]\n stp x21, x22, [x3, #16]\n stp x23, x24, [x3, #32]\n stp x25, x26, [x3, #48]\n"
        "stp x27, x28, [x3, #64]\n str x29, [x3, #80]\n"
        "stp d8, d9, [x3, #88]\n stp d10, d11, [x3, #104]\n stp d12, d13, [x3, #120]\n stp d14, d15, [x3, #136]\n"
        "ldp x19, x20, [sp, #16]\n ldp x21, x22, [sp, #32]\n ldp x23, x24, [sp, #48]\n"
        "ldp x25, x26, [sp, #64]\n ldp x27, x28, [sp, #80]\n"
        "ldp d8, d9, [sp, #96]\n ldp d10, d11, [sp, #112]\n ldp d12, d13, [sp, #128]\n ldp d14, d15, [sp, #144]\n"
        "ldp x29, x30, [sp], #176\n"
        "ret\n");

enum { REGISTERS = 19, ROUNDS = 1000000, STACK_WORDS = 8192 };

static unsigned long link[2];
static unsigned long rounds_of_green;

/* Goes to the other side with values that only this round of this side has, and sees that they are still there. */
static void go(void (*way)(unsigned long *), const char *side, unsigned long round) {
    uint64_t before[REGISTERS], after[REGISTERS];
    for (int i = 0; i < REGISTERS; i++) before[i] = (round * 64 + i) * 0x9e3779b97f4a7c15u ^ (uint64_t)side[0] << 56;
    call_with(way, link, before, after);
    for (int i = 0; i < REGISTERS; i++) {
        if (before[i] == after[i]) continue;
        printf("%s, round %lu: %s%d was lost\n", side, round, i < 11 ? "x" : "d", i < 11 ? 19 + i : i - 3);
        exit(1);
    }
}

/* The first function on the green stack: what `start` calls. */
static void green(unsigned long *argument) {
    uint64_t *frame = __builtin_frame_address(0);
    if (argument != link || (uintptr_t)frame % 16 != 0 || frame[0] != 0) {
        printf("the first frame: link %p, frame at %p, the frame before it at %#lx\n", (void *)argument, (void *)frame,
               frame[0]);
        exit(1);
    }
    for (;;) go(suspend, "green", rounds_of_green++);
}

int main(void) {
    static _Alignas(16) unsigned long stack[STACK_WORDS];
    /* As `prepare` leaves it: the address of `start` where the one to return to would be. */
    unsigned long *stack_pointer = stack + STACK_WORDS - 4;
    stack_pointer[2] = (unsigned long)start;
    link[0] = (unsigned long)stack_pointer;
    link[1] = (unsigned long)green;
    for (unsigned long round = 0; round < ROUNDS; round++) go(resume, "host", round);
    printf("%d switches there and back, all registers kept on both sides\n", ROUNDS);
    return rounds_of_green == ROUNDS ? 0 : 1;
}
