#!/usr/bin/env python3
"""Checks that the links of the Markdown pages which stay in this repository lead somewhere.

A link names a file or a folder, and may name a heading of a page by its anchor, as GitHub makes them.
Links to the web are not followed.
"""

import re
import sys
from pathlib import Path
from urllib.parse import unquote

import source

CODE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}).*?^ *(?P=fence)`*~*$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"(?P<ticks>`+)[^`\n](?:.*?[^`\n])??(?P=ticks)(?!`)")
INLINE = re.compile(r"\]\(\s*<?(?P<target>[^)\s>]*)")
DEFINITION = re.compile(r"^ {0,3}\[(?P<name>[^\]]+)\]:\s*<?(?P<target>[^\s>]+)", re.MULTILINE)
REFERENCE = re.compile(r"\[[^\[\]]+\]\[(?P<name>[^\[\]]+)\]")
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(?P<title>.*?)\s*#*$", re.MULTILINE)


def blank(pattern, text):
    """Takes what matches out of the text; lines stay where they are."""
    return pattern.sub(lambda found: "\n" * found[0].count("\n"), text)


def anchors(text):
    """The anchors of a page: of equal ones, the later have a number."""
    found = set()
    for heading in HEADING.finditer(blank(CODE, text)):
        title = re.sub(r"\]\([^)]*\)", "]", heading["title"]).lower()
        name = re.sub(r"[^\w\- ]", "", title).replace(" ", "-")
        anchor, count = name, 0
        while anchor in found:
            count += 1
            anchor = f"{name}-{count}"
        found.add(anchor)
    return found


def problems(root):
    pages = source.files(root, "*.md")
    for page in pages:
        text = blank(CODE, (Path(root) / page).read_text())
        names = {found["name"].lower() for found in DEFINITION.finditer(text)}
        plain = INLINE_CODE.sub("code", text)
        for found in REFERENCE.finditer(plain):
            if found["name"].lower() not in names and found["name"] != "code":
                yield f"{page}: [{found['name']}] is not defined"
        # A definition may be for code, an inline link may have code as its text.
        targets = [found["target"] for found in INLINE.finditer(plain)]
        targets += [found["target"] for found in DEFINITION.finditer(text)]
        for target in targets:
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            path, _, anchor = unquote(target).partition("#")
            base = Path(root).resolve()
            if path:
                base = base / path.lstrip("/") if path.startswith("/") else base / page.parent / path
            else:
                base = base / page
            base = base.resolve()
            if not base.exists() or not base.is_relative_to(Path(root).resolve()):
                yield f"{page}: {target} is not there"
            elif anchor and base.suffix == ".md" and anchor not in anchors(base.read_text()):
                yield f"{page}: {target} has no such heading"


if __name__ == "__main__":
    sys.exit(source.report(list(problems(".")), "every link of the pages leads somewhere"))
