"""What the checks share: the files of the repository, and Rust code apart from its comments."""

import re
import subprocess
from pathlib import Path

TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)"""
    r"""|(?P<string>b?r(?P<hashes>\#*)".*?"(?P=hashes)|b?"(?:\\.|[^"\\])*"|b?'(?:\\.[^']*|[^'\\])')""",
    re.DOTALL,
)


def files(root, *patterns):
    """The paths of the repository that match, without what git ignores, relative to `root`."""
    command = ["git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run([*command, *patterns], check=True, capture_output=True, text=True)
    paths = sorted(set(listed.stdout.split("\0")) - {""})
    return [Path(path) for path in paths if (Path(root) / path).is_file()]


def comments(text):
    """The numbers of the lines on which a comment stands."""
    numbers = set()
    for token in TOKEN.finditer(text):
        if token["comment"]:
            first = text.count("\n", 0, token.start()) + 1
            numbers.update(range(first, first + token[0].count("\n") + 1))
    return numbers


def code(text):
    """The text without comments and strings; lines stay where they are."""
    return TOKEN.sub(lambda token: "\n" * token[0].count("\n") or " ", text)


def report(problems, passed):
    """Prints the problems and returns the exit status."""
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems" if problems else passed)
    return 1 if problems else 0
