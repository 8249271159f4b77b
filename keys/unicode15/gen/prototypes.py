#!/usr/bin/env python3
"""Print the confusable prototypes of UTS #39, version 15.0, from ICU 72 (Debian: python3-icu).

One line for each code point that NFKD leaves alone and that has a prototype other than itself:

    <code point>;<prototype's code points>

in hexadecimal, ascending. Code points that NFKD changes are left out, because the skeletons of this
package are made of compatibility-decomposed text.

Usage: prototypes.py > prototypes.txt
"""
import icu

assert icu.UNICODE_VERSION == "15.0", icu.UNICODE_VERSION

checker = icu.SpoofChecker()
nfkd = icu.Normalizer2.getNFKDInstance()

print("# Confusable prototypes of UTS #39, version 15.0, as ICU 72.1 has them; see NOTICE.")
print("# Selected and reformatted by prototypes.py. Copyright 1991-2022 Unicode, Inc.")
for c in range(0x110000):
    if 0xD800 <= c < 0xE000:
        continue
    s = chr(c)
    prototype = str(checker.getSkeleton(0, s))
    if prototype != s and str(nfkd.normalize(s)) == s:
        print("%04X;%s" % (c, " ".join("%04X" % ord(p) for p in prototype)))
