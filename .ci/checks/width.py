#!/usr/bin/env python3
"""Checks that comments in Rust end at column 100, and prose in Markdown at column 120.

Tables cannot be wrapped, code has its own rules, and the target of a link takes no room on the page.
"""

import re
import sys
from pathlib import Path

import source

COMMENT, PROSE = 100, 120
FENCE = re.compile(r"\s*(?:>\s*)*(`{3,}|~{3,})")
TARGET = re.compile(r"(?<=\])\([^)\s]*\)")


def cannot_wrap(text):
    """A table's row, a link's definition, or one long word."""
    text = text.strip()
    return text.startswith("|") or re.match(r"\[[^\]]+\]:\s", text) or len(text.split()) < 2


def long_comments(text):
    lines = text.splitlines()
    for number in sorted(source.comments(text)):
        line = lines[number - 1]
        said = re.sub(r"^\s*(//[/!]?|/?\*+)", "", line)
        if len(line) > COMMENT and not cannot_wrap(said):
            yield number, len(line)


def long_prose(text):
    fence = None
    for number, line in enumerate(text.splitlines(), 1):
        mark = FENCE.match(line)
        if mark and fence is None:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = None
        elif fence is None and not cannot_wrap(line):
            width = len(TARGET.sub("", line))
            if width > PROSE:
                yield number, width


def problems(root):
    for pattern, find in (("*.rs", long_comments), ("*.md", long_prose)):
        for file in source.files(root, pattern):
            for number, width in find((Path(root) / file).read_text()):
                yield f"{file}:{number}: {width} columns"


if __name__ == "__main__":
    sys.exit(source.report(list(problems(".")), "no comment and no prose is too wide"))
