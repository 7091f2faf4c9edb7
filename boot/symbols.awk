# SPDX-License-Identifier: BSD-2-Clause
#
# The symbol table for backtraces, out of "nm -n", small: the image has little room. Reads nothing
# but functions and labels. symbol_format in arch/x86_64/panic.c is its reader.
#
# Names are words joined by "_", words are letters. Both alphabets have Huffman codes in canonical
# form: all that is kept of an alphabet is how many codes there are of each length, 1 to 16. Number 0
# of either ends what is spelled in it. Word 1 stands for the first word of the last name before
# that has several.
#
#   u16 symbols, words
#   u16 word codes of each length, u16 letter codes of each length
#   48 bytes: the letters, by number
#   bits, the highest of a byte first:
#       the words, by number from 2: so many ones and a zero as it has letters in common with the word
#       before; codes of its other letters
#       each symbol: its distance from the one before it (the first: from text_start), the upper part
#       as so many ones and a zero, then the low 7 bits; its name: codes of words

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

function hex(digits,    i, v) {
    v = 0
    for (i = 1; i <= length(digits); i++)
        v = v * 16 + index("0123456789abcdef", substr(digits, i, 1)) - 1
    return v
}

# item[1..n] by falling use, stable; or, with by_len, by rising length of their codes, then by name.
function sort(item, n, use, by_len, bits,    i, k, x) {
    for (i = 2; i <= n; i++) {
        x = item[i]
        for (k = i - 1; k >= 1 && (by_len ? bits[x] < bits[item[k]] ||
             bits[x] == bits[item[k]] && x < item[k] : use[item[k]] < use[x]); k--)
            item[k + 1] = item[k]
        item[k + 1] = x
    }
}

# The codes of the end (number 0) and of item[1..n], which it sorts: code[] and bits[] by item. Prints
# how many there are of each length. The two rarest are joined until one is left; what was joined
# earlier is rarer, so that the leaves and the joints are two sorted queues.
function make_codes(item, n, use, ends, code, bits,
                    i, leaf, joint, made, pick, weight, up, len, count, next_code, line) {
    sort(item, n, use)
    weight[0] = n && use[item[1]] > ends ? use[item[1]] : ends
    for (i = 1; i <= n; i++)
        weight[i] = use[item[i]]
    leaf = n
    joint = n + 1
    for (made = n + 1; made <= 2 * n; made++) {
        weight[made] = 0
        for (i = 0; i < 2; i++) {
            pick = leaf >= 0 && (joint >= made || weight[leaf] <= weight[joint]) ? leaf-- : joint++
            weight[made] += weight[pick]
            up[pick] = made
        }
    }
    len[2 * n] = 0
    for (i = 2 * n - 1; i >= 0; i--)
        len[i] = len[up[i]] + 1
    for (i = 1; i <= n; i++)
        bits[item[i]] = len[i]
    sort(item, n, use, 1, bits)
    next_code = 0
    for (i = 0; i <= n && n; i++) {
        if (i)
            next_code = (next_code + 1) * 2 ^ (len[i] - len[i - 1])
        code[i ? item[i] : ""] = next_code
        bits[i ? item[i] : ""] = len[i]
        count[len[i]]++
    }
    if (len[n] > 16)
        exit 1
    for (i = 1; i <= 16; i++)
        line = line (i > 1 ? ", " : ".short ") count[i] + 0
    print line
}

# How many letters two words begin with in common.
function common(a, b,    n) {
    n = 0
    while (n < length(a) && n < length(b) && substr(a, n + 1, 1) == substr(b, n + 1, 1))
        n++
    return n
}

# What stands for the words of a name, in parts[]; how many.
function spell(name,    count, first) {
    count = split_name(name)
    first = parts[1]
    if (count > 1 && first == prefix)
        parts[1] = SAME
    if (count > 1)
        prefix = first
    return count
}

function put(value, n) {
    while (n--) {
        byte = byte * 2 + int(value / 2 ^ n) % 2
        if (++filled == 8) {
            print ".byte " byte
            byte = filled = 0
        }
    }
}

function put_ones(n) {
    while (n-- > 0)
        put(1, 1)
    put(0, 1)
}

function put_distance(d) {
    put_ones(int(d / 128))
    put(d % 128, 7)
}

BEGIN {
    n = words = letters = byte = filled = 0
    SAME = "!" # sorts before every letter
    word[++words] = SAME
    for (i = 32; i < 127; i++)
        ascii[sprintf("%c", i)] = i
}
$3 == "text_start" { base = hex(substr($1, 9)) }
$2 ~ /^[tT]$/ && $1 ~ /^ffffffff/ && $3 !~ /^(text_start|text_end)$/ && $3 !~ /^\./ {
    if ($1 == last)
        next
    last = $1
    addr[++n] = hex(substr($1, 9))
    name[n] = $3
    count = spell($3)
    for (i = 1; i <= count; i++)
        if (!(uses[parts[i]]++) && parts[i] != SAME)
            word[++words] = parts[i]
}
END {
    for (i = 1; i <= words; i++) # its code is the shortest of them
        if (uses[word[i]] > uses[SAME])
            uses[SAME] = uses[word[i]]
    print ".section .symbols, \"a\"\n.balign 4\n.globl symbol_table\nsymbol_table:"
    print ".short " n ", " words - 1
    make_codes(word, words, uses, n, word_code, word_bits)
    if (word[1] != SAME)
        exit 1
    for (i = 2; i <= words; i++) {
        for (k = common(word[i - 1], word[i]) + 1; k <= length(word[i]); k++)
            if (!(char_uses[c = substr(word[i], k, 1)]++))
                letter[++letters] = c
    }
    make_codes(letter, letters, char_uses, words, char_code, char_bits)
    if (letters >= 48)
        exit 1
    for (i = 0; i < 48; i++)
        print ".byte " (i && i <= letters ? ascii[letter[i]] : 0)
    for (i = 2; i <= words; i++) {
        put_ones(common(word[i - 1], word[i]))
        for (k = common(word[i - 1], word[i]) + 1; k <= length(word[i]); k++) {
            c = substr(word[i], k, 1)
            put(char_code[c], char_bits[c])
        }
        put(char_code[""], char_bits[""])
    }
    prefix = ""
    for (i = 1; i <= n; i++) {
        put_distance(addr[i] - base)
        base = addr[i]
        count = spell(name[i])
        for (k = 1; k <= count; k++)
            put(word_code[parts[k]], word_bits[parts[k]])
        put(word_code[""], word_bits[""])
    }
    put(0, 7)
    print ".section .note.GNU-stack, \"\", @progbits"
}
