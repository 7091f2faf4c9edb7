# SPDX-License-Identifier: BSD-2-Clause
#
# The symbol table for backtraces, out of "nm -n": the text symbols' offsets from text_start in
# rising order, then their names one after the other. Reads nothing but functions and labels.
BEGIN { n = 0 }
$3 == "text_start" { base = $1 }
$2 ~ /^[tT]$/ && $1 ~ /^ffffffff/ && $3 !~ /^(text_start|text_end)$/ && $3 !~ /^\./ {
    if ($1 == last)
        next
    last = $1
    addr[n] = $1
    name[n++] = $3
}
END {
    print ".section .symbols, \"a\"\n.balign 4\n.globl symbol_table\nsymbol_table:"
    print ".long " n + 0
    for (i = 0; i < n; i++)
        print ".long 0x" addr[i] " - 0x" base
    for (i = 0; i < n; i++)
        print ".asciz \"" name[i] "\""
    print ".section .note.GNU-stack, \"\", @progbits"
}
