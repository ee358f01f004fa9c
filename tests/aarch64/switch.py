"""Writes the instructions of runtime/green/switch_aarch64.rs as inline assembly of C, for harness.c.

    python3 tests/aarch64/switch.py runtime/green/switch_aarch64.rs > switch.h

The text of each asm! block is taken as it is, and so are the registers that it names as clobbered. What
`clobber_abi("C")` stands for is taken from the reference of Rust ("Inline assembly", ABI clobbers).
"""

import re
import sys

ABI = [f"x{number}" for number in [*range(1, 18), 30]] + [f"v{number}" for number in range(32)] + ["cc", "memory"]


def block(source, name):
    """The lines of the asm! block in the function `name`."""
    found = re.search(rf"fn {name}\(.*?asm!\(\n(.*?)\n\s*\)", source, re.DOTALL)
    if not found:
        sys.exit(f"no assembly in a function {name}")
    return [line.strip() for line in found[1].splitlines()]


def instructions(lines):
    """The text of the instructions, as one literal of C."""
    texts = [re.match(r'"(.*)",$', line)[1] for line in lines if line.startswith('"')]
    return "\n    ".join(f'"{text}\\n"' for text in texts)


def main():
    source = open(sys.argv[1], encoding="utf-8").read()
    for name in ["resume", "suspend"]:
        lines = block(source, name)
        if 'inout("x0") link => _,' not in lines or 'clobber_abi("C"),' not in lines:
            sys.exit(f"{name} does not take its link in x0, or names no ABI")
        named = [register for line in lines for register in re.findall(r'\bout\("(\w+)"\) _', line)]
        clobbers = ", ".join(f'"{register}"' for register in dict.fromkeys(named + ABI))
        print(f"__attribute__((noinline)) void {name}(unsigned long *link) {{")
        print('    register unsigned long *x0 __asm__("x0") = link;')
        print(f"    __asm__ volatile({instructions(lines)}\n    : \"+r\"(x0) : : {clobbers});\n}}")
    print(f'void start(void);\n__asm__(".globl start\\nstart:\\n"\n    {instructions(block(source, "start"))});')


main()
