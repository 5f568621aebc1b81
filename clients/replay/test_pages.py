"""The pages of these clients: the parts that no replay uses."""

import re
import subprocess

import pytest
from replay.exchange import HERE
from replay.settings import ELSEWHERE, MODEL
from snippets import ADDRESS, Page

NAMES = ["cursor", "goose", "home-assistant", "jetbrains", "n8n", "open-webui", "roo", "vscode-copilot", "zed"]


def blocks(name):
    page = Page(name)
    return [block for language in page.languages() for block in page.blocks(language)]


@pytest.mark.parametrize("name", NAMES)
def test_every_address_is_the_address_of_the_program(name):
    found = re.findall(r"https?://[^\s\"'`]+", "".join(blocks(name)))
    assert found
    assert all(address.startswith((ADDRESS, *ELSEWHERE)) for address in found), found


@pytest.mark.parametrize("name", NAMES)
def test_every_block_is_read_by_a_replay(name):
    # The languages that settings.py reads; a block in another language would be untested.
    assert Page(name).languages() <= {"bash", "json", "text", "yaml"}


@pytest.mark.parametrize("name", NAMES)
def test_the_shell_takes_what_is_for_it(name):
    for block in Page(name).blocks("bash") if "bash" in Page(name).languages() else []:
        assert subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True).stderr == ""


@pytest.mark.parametrize("name", NAMES)
def test_the_model_is_named(name):
    assert MODEL in Page(name).text


def test_every_request_is_of_a_test():
    tests = "".join(file.read_text(encoding="utf-8") for file in HERE.glob("test_*.py"))
    files = list(HERE.glob("*/*.http"))
    assert files and [file for file in files if f'"{file.stem}"' not in tests] == []
