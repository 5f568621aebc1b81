"""Checks that every link between documents works, and that the index of the setup pages is complete."""

import json
import re
from pathlib import Path

import pytest
from snippets import PAGES

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def links(file):
    """Returns the local links of a document, ignoring code, where brackets mean something else."""
    text = re.sub(r"^```.*?^```$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", link)]


def anchors(file):
    """Returns the anchors that a forge generates for the headings of a document."""
    titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("file", DOCUMENTS, ids=[str(file.relative_to(ROOT)) for file in DOCUMENTS])
def test_every_link_leads_somewhere(file):
    for link in links(file):
        path, _, anchor = link.partition("#")
        target = file.parent / path if path else file
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_in_the_index():
    listed = links(PAGES / "README.md")
    assert len(listed) == len(set(listed)), "each once"
    assert set(listed) == {file.name for file in PAGES.glob("*.md")} - {"README.md"}


def test_every_client_in_the_table_has_its_page():
    for file in (ROOT / "clients").glob("*/client.json"):
        about = json.loads(file.read_text(encoding="utf-8"))
        for client in about if isinstance(about, list) else [about]:
            assert (PAGES / client["page"]).exists(), client
