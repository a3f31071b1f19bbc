#!/usr/bin/env python3
"""Checks that no import of the library crates runs up, and that no files import each other in a circle.

An import is any path that begins with `crate`, `super`, `self` or a module of the same file, in a `use`
or elsewhere. It is followed through re-exports to the file that defines the name, so that a circle cannot
hide behind `mod.rs`; to re-export from below itself is no import. Code for tests may import anything.
"""

import re
import sys
from pathlib import Path

import source

# The floors of each crate, the lowest first. A room is a folder or a file of `src`. It may import from
# the floors below its own, and a folder from itself; rooms of one floor may not import each other.
FLOORS = {
    "smux-proto": ["parse", "wire priority", "config stats error", "trace buffer", "streams", "session", "poll"],
    "smux-tokio": ["pipe race tcp timer wakeup", "transport", "stream", "split", "session", "phase", "listener pool", "integrations net"],
    "smux-async-std": ["copy shutdown transport", "driver stream", "split", "io", "session", "runtime"],
    "smux-blocking": ["crowd start wait transport", "timer", "watch", "writing", "reading", "threads", "stream", "session"],
}
# Only re-exports and text.
OUTSIDE = {"lib", "guide"}

ATTRIBUTES = r"(?P<attributes>(?:#\[(?:[^\[\]]|\[[^\]]*\])*\]\s*)*)"
VISIBLE = r"(?P<visible>pub\s*(?:\([^)]*\)\s*)?)?"
MODULE = re.compile(rf"{ATTRIBUTES}{VISIBLE}\bmod\s+(?P<name>\w+)\s*(?P<end>[;{{])")
USE = re.compile(rf"{VISIBLE}\buse\s+(?P<tree>[^;]+);")
ITEM = r"\b(?:const|enum|fn|static|struct|trait|type)"
PATH = re.compile(r"(?<![\w:$.])\$?(?:::)?(\w+(?:::\w+)+)")


def is_for_tests(attributes):
    return re.search(r"cfg\s*\((?:all\s*\(\s*)?test\b", attributes) is not None


def without_tests(text):
    """The code without modules in braces that are only built for tests."""
    for module in reversed(list(MODULE.finditer(text))):
        if module["end"] == "{" and is_for_tests(module["attributes"]):
            end, depth = module.end(), 1
            while depth and end < len(text):
                depth += {"{": 1, "}": -1}.get(text[end], 0)
                end += 1
            text = text[: module.start()] + text[end:]
    return text


def leaves(tree):
    """The paths of a use tree with the names that they get: `a::{b, c as d}` is a::b as b and a::c as d."""
    tree = " ".join(tree.split())
    start = tree.find("{")
    if start < 0:
        path, _, alias = tree.partition(" as ")
        parts = [part.strip() for part in path.strip().split("::") if part.strip()]
        if parts and parts[-1] == "self":
            parts.pop()
        return [(parts, alias.strip() or parts[-1])] if parts else []
    head = [part.strip() for part in tree[:start].split("::") if part.strip()]
    inner, depth, item, items = tree[start + 1 : tree.rfind("}")], 0, "", []
    for letter in inner:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            items.append(item)
            item = ""
        else:
            item += letter
    paths = []
    for item in [*items, item]:
        if item.strip() == "self":
            paths.append((head, head[-1]))
        else:
            paths += [(head + path, alias) for path, alias in leaves(item)]
    return paths


class Module:
    def __init__(self, path, file, text):
        self.path, self.file = path, file
        self.text = without_tests(source.code(text))
        self.children = set()
        self.imports, self.exports = [], []
        for use in USE.finditer(self.text):
            found = leaves(use["tree"])
            (self.exports if use["visible"] else self.imports).extend(found)
        self.imports += [(path.split("::"), "") for path in PATH.findall(USE.sub("", self.text))]


class Crate:
    def __init__(self, src):
        self.src = src
        self.modules = {}
        self.add((), src / "lib.rs")

    def add(self, path, file):
        module = Module(path, file, file.read_text())
        self.modules[path] = module
        folder = file.parent if file.name in ("lib.rs", "mod.rs") else file.with_suffix("")
        for child in MODULE.finditer(module.text):
            if child["end"] == ";" and not is_for_tests(child["attributes"]):
                name = child["name"]
                module.children.add(name)
                files = [folder / f"{name}.rs", folder / name / "mod.rs"]
                self.add((*path, name), next(file for file in files if file.is_file()))

    def name(self, module):
        return str(module.file.relative_to(self.src))

    def defining(self, module, path, seen=()):
        """The module that defines what `path` means in `module`; `None` if that is not of this crate."""
        here, parts = module.path, list(path)
        if parts[0] == "crate":
            here = ()
        elif parts[0] == "super":
            here = here[:-1]
        elif parts[0] != "self" and parts[0] not in module.children:
            return None
        if parts[0] in ("crate", "super", "self"):
            parts.pop(0)
        while parts and parts[0] == "super":
            here = here[:-1]
            parts.pop(0)
        while parts and (*here, parts[0]) in self.modules:
            here = (*here, parts.pop(0))
        found = self.modules[here]
        if not parts or (found, parts[0]) in seen:
            return found
        seen = (*seen, (found, parts[0]))
        for path, name in found.exports:
            if name == parts[0]:
                return self.defining(found, path, seen)
        for path, name in found.exports:
            if name == "*":
                target = self.defining(found, path[:-1], seen)
                if target and re.search(rf"{ITEM}\s+{parts[0]}\b", target.text):
                    return target
        return found

    def edges(self):
        """Which module imports which, as pairs."""
        edges = set()
        for module in self.modules.values():
            for path, _ in module.imports:
                target = self.defining(module, [part for part in path if part != "*"] or path)
                if target and target is not module:
                    edges.add((module, target))
            for path, _ in module.exports:
                target = self.defining(module, [part for part in path if part != "*"] or path)
                if target and target.path[: len(module.path)] != module.path:
                    edges.add((module, target))
        return sorted(edges, key=lambda edge: (self.name(edge[0]), self.name(edge[1])))


def circles(edges):
    """Groups of modules of which each imports, in some steps, every other."""
    below = {}
    for user, used in edges:
        below.setdefault(user, set()).add(used)

    def reachable(start):
        seen, todo = set(), [start]
        while todo:
            for used in below.get(todo.pop(), ()):
                if used not in seen:
                    seen.add(used)
                    todo.append(used)
        return seen

    reached = {module: reachable(module) for module in below}
    groups = {
        frozenset(other for other in reached[module] if module in reached.get(other, ()))
        for module in below
        if module in reached[module]
    }
    return [[edge for edge in edges if set(edge) <= group] for group in groups]


def problems(root, floors):
    for crate, order in floors.items():
        layout = Crate(Path(root) / crate / "src")
        floor = {room: number for number, rooms in enumerate(order) for room in rooms.split()}
        rooms = {module.path[0] for module in layout.modules.values() if module.path}
        for room in sorted(rooms - floor.keys() - OUTSIDE):
            yield f"{crate}: {room} has no floor: give it one in .ci/checks/layout.py"
        for room in sorted(floor.keys() - rooms):
            yield f"{crate}: {room} has a floor in .ci/checks/layout.py, but is not there"
        inside = []
        for user, used in layout.edges():
            upper, lower = (module.path[0] if module.path else "lib" for module in (user, used))
            if upper == lower:
                inside.append((user, used))
            elif upper not in OUTSIDE and floor.get(upper, 0) <= floor.get(lower, len(order)):
                yield f"{crate}: {layout.name(user)} imports {layout.name(used)}, which is not below it"
        # A circle through several rooms has an import that runs up.
        named = [
            [f"{layout.name(user)} -> {layout.name(used)}" for user, used in circle]
            for circle in circles(inside)
        ]
        for circle in sorted(named):
            yield f"{crate}: a circle of imports: {', '.join(circle)}"


if __name__ == "__main__":
    sys.exit(source.report(list(problems(".", FLOORS)), "no import runs up, and none in a circle"))
