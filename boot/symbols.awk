# SPDX-License-Identifier: BSD-2-Clause
#
# The symbol table for backtraces, out of "nm -n", small: the image has little room. Reads nothing
# but functions and labels. symbol_format in arch/x86_64/panic.c is its reader.
#
#   u16 symbols, words
#   the words that names are made of, most frequent first; bit 7 ends each
#   each symbol's distance from the one before it (the first: from text_start), as ULEB128
#   each symbol's name: its words, joined by "_". A word's number, from 1, is one byte below 0xe0, or
#   0xe0 + high byte, low byte of what exceeds 0xdf. 0 ends each.

# Splits a name at its underscores into parts[]; further underscores belong to the word after them.
function split_name(name,    n, i, k, raw, carry) {
    sub(/\..*/, "", name) # what the compiler appends to the parts of a function
    n = split(name, raw, "_")
    k = 0
    carry = ""
    for (i = 1; i <= n; i++) {
        if (raw[i] == "") {
            carry = carry "_"
            continue
        }
        parts[++k] = carry raw[i]
        carry = ""
    }
    parts[k] = parts[k] carry
    return k
}

BEGIN {
    n = 0; words = 0
    for (i = 32; i < 127; i++)
        code[sprintf("%c", i)] = i
}
$3 == "text_start" { base = $1 }
$2 ~ /^[tT]$/ && $1 ~ /^ffffffff/ && $3 !~ /^(text_start|text_end)$/ && $3 !~ /^\./ {
    if ($1 == last)
        next
    last = $1
    addr[n] = $1
    name[n++] = $3
    count = split_name($3)
    for (i = 1; i <= count; i++)
        if (!(uses[parts[i]]++))
            word[++words] = parts[i]
}
END {
    for (i = 2; i <= words; i++) { # by falling use, stable
        w = word[i]
        for (k = i - 1; k >= 1 && uses[word[k]] < uses[w]; k--)
            word[k + 1] = word[k]
        word[k + 1] = w
    }
    print ".section .symbols, \"a\"\n.balign 4\n.globl symbol_table\nsymbol_table:"
    print ".short " n + 0 ", " words + 0
    for (i = 1; i <= words; i++) {
        number[word[i]] = i
        len = length(word[i])
        print ".ascii \"" substr(word[i], 1, len - 1) "\"\n.byte " code[substr(word[i], len)] + 128
    }
    for (i = 0; i < n; i++) {
        print ".uleb128 0x" addr[i] " - 0x" base
        base = addr[i]
    }
    for (i = 0; i < n; i++) {
        count = split_name(name[i])
        for (k = 1; k <= count; k++) {
            w = number[parts[k]]
            if (w < 224)
                print ".byte " w
            else
                print ".byte " 224 + int((w - 224) / 256) ", " (w - 224) % 256
        }
        print ".byte 0"
    }
    print ".section .note.GNU-stack, \"\", @progbits"
}
