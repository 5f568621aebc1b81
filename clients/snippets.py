"""The code blocks of the setup pages, which the suites run.

A test reads the code that a reader would copy from the page and changes only the address, so there is no second copy.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from harness import PATIENCE, environment

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "clients"
ADDRESS = "http://localhost:8787"


class Page:
    """docs/clients/NAME.md, or a page in another directory, and its code blocks."""

    def __init__(self, name, directory=PAGES):
        self.file = directory / f"{name}.md"
        self.text = self.file.read_text(encoding="utf-8")

    def blocks(self, language):
        """Returns the blocks in `language`, as a reader copies them."""
        found = re.findall(rf"^```{language}\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)
        assert found, f"{self.file.name} has no block in {language}"
        return found

    def block(self, language, containing=""):
        """Returns the only block in `language` that contains a text."""
        found = [block for block in self.blocks(language) if containing in block]
        assert len(found) == 1, f"{self.file.name}: {len(found)} blocks in {language} contain {containing!r}"
        return found[0]

    def languages(self):
        return set(re.findall(r"^```(\w+)$", self.text, re.MULTILINE))


README = Page("README", ROOT)


def at(proxy, block):
    """Returns the block with the test's address instead of the reader's."""
    assert ADDRESS in block, f"no {ADDRESS} in:\n{block}"
    return block.replace(ADDRESS, proxy.url)


def python(program, exports=""):
    """Runs a program with the suite's Python and the variables that `exports` sets, and returns its output."""
    env = environment(PATH=f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}")
    done = subprocess.run(
        ["bash", "-c", f"{exports}exec python -"], input=program, env=env, capture_output=True, text=True, timeout=2 * PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
