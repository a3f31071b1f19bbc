#!/usr/bin/env python3
"""Shows that the checks can fail: each is run on a few small files that break its rule, and on some that do not."""

import subprocess
import tempfile
import unittest
from pathlib import Path

import layout
import links
import width


class Repository(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        subprocess.run(["git", "init", "--quiet", folder.name], check=True)

    def write(self, **texts):
        for name, text in texts.items():
            file = self.root / name.replace("__", "/").replace("_md", ".md").replace("_rs", ".rs")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)


class Layout(Repository):
    def found(self, floors=("low", "high"), **files):
        self.write(
            **{
                "one__src__lib_rs": "mod low;\npub mod high;\n",
                "one__src__low__mod_rs": "mod first;\nmod second;\npub use first::First;\n",
                "one__src__low__first_rs": "pub struct First;\n",
                "one__src__low__second_rs": "use super::First;\n",
                "one__src__high_rs": "use crate::{low::First as Renamed};\n",
                **files,
            }
        )
        return list(layout.problems(self.root, {"one": list(floors)}))

    def test_imports_that_run_down_pass(self):
        self.assertEqual(self.found(), [])

    def test_upward_import_is_refused(self):
        upward = "one: low/second.rs imports high.rs, which is not below it"
        for code in (
            "use crate::high::High;",
            "use crate::{\n    low::First,\n    high::{self, High},\n};",
            "use super::super::high::High;",
            "fn f() { crate::high::g() }",
            "pub(crate) use crate::high::High;",
        ):
            self.assertEqual(self.found(one__src__low__second_rs=code), [upward], code)

    def test_import_through_a_re_export_counts(self):
        files = {"one__src__lib_rs": "mod low;\nmod high;\npub use high::High;\n"}
        problems = self.found(one__src__low__second_rs="use crate::High;\n", **files)
        self.assertEqual(problems, ["one: low/second.rs imports high.rs, which is not below it"])

    def test_import_of_the_same_floor_is_refused(self):
        problems = self.found(floors=["low high"])
        self.assertEqual(problems, ["one: high.rs imports low/first.rs, which is not below it"])

    def test_circle_in_a_folder_is_refused(self):
        problems = self.found(one__src__low__first_rs="use super::second::X;\npub struct First;\n")
        circle = "low/first.rs -> low/second.rs, low/second.rs -> low/first.rs"
        self.assertEqual(problems, [f"one: a circle of imports: {circle}"])

    def test_circle_with_the_parent_is_refused(self):
        problems = self.found(
            one__src__low__mod_rs="mod first;\nmod second;\npub use first::First;\nstruct Own(second::X);\n",
            one__src__low__second_rs="use super::{First, Own};\n",
        )
        circle = "low/mod.rs -> low/second.rs, low/second.rs -> low/mod.rs"
        self.assertEqual(problems, [f"one: a circle of imports: {circle}"])

    def test_comments_strings_and_tests_import_nothing(self):
        text = (
            "/// See crate::high::High.\npub struct First;\n"
            'const TEXT: &str = "use crate::high::High;";\n'
            "#[cfg(test)]\nmod tests {\n    use crate::high::High;\n    fn f() {}\n}\n"
        )
        self.assertEqual(self.found(one__src__low__first_rs=text), [])

    def test_room_without_a_floor_is_refused(self):
        problems = self.found(floors=["low"])
        self.assertEqual(problems[0].split(":")[1], " high has no floor")


class Width(Repository):
    def found(self, **files):
        self.write(**files)
        return list(width.problems(self.root))

    def test_wide_comments_are_refused(self):
        wide = "word " * 19
        self.assertEqual(self.found(a_rs=f"// {wide}\n"), [])
        for start in ("// more ", "/// more ", "    //! more ", "let x = 1; // more "):
            self.assertEqual(len(self.found(a_rs=f"{start}{wide}\n")), 1, start)
        self.assertEqual(self.found(a_rs=f'let x = "// {wide} more";\n/// | {wide} | more |\n'), [])

    def test_wide_prose_is_refused(self):
        wide = "word " * 25
        self.assertEqual(len(self.found(a_md=f"{wide}\n")), 1)
        target = "x" * 90
        for text in (f"```\n{wide}\n```", f"| {wide} |", f"[a]({target}) word word word word word"):
            self.assertEqual(self.found(a_md=f"{text}\n"), [], text)


class Links(Repository):
    def found(self, text):
        self.write(folder__b_md="# A `Title`, here\n\n# Twice\n\n# Twice\n", a_md=f"# Top\n\n{text}\n")
        return [problem.split(": ", 1)[1] for problem in links.problems(self.root)]

    def test_links_that_lead_somewhere_pass(self):
        for target in ("folder", "folder/b.md", "folder/b.md#a-title-here", "#top", "https://x.y/z"):
            self.assertEqual(self.found(f"[text]({target})"), [], target)
            self.assertEqual(self.found(f"[text][name]\n\n[name]: {target}"), [], target)
        self.assertEqual(self.found("[`x`](folder/b.md#twice-1)"), [])

    def test_links_that_lead_nowhere_are_refused(self):
        for target in ("none.md", "folder/b.md#none", "#none", "../out.md", "folder/b.md#twice-2"):
            self.assertEqual(len(self.found(f"[`text`]({target})")), 1, target)
            self.assertEqual(len(self.found(f"[![image]({target})](folder)")), 1, target)
            self.assertEqual(len(self.found(f"[`text`]: {target}")), 1, target)
        self.assertEqual(self.found("[text][none]"), ["[none] is not defined"])

    def test_code_has_no_links(self):
        self.assertEqual(self.found("`[a](none)`\n\n```\n[a](none)\n```\n"), [])


if __name__ == "__main__":
    unittest.main()
