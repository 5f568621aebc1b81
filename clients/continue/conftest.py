"""The Continue CLI as its users set it up: with the file of docs/clients/continue.md."""

import os
import subprocess

import pytest
from environments import node, node_packages
from faults import UNKNOWN_MODEL
from harness import PATIENCE, Program, environment
from snippets import Page, at

PAGE = Page("continue")


class Continue:
    """The command in its own directory."""

    def __init__(self, directory, proxy, model="gpt-5.5"):
        self.directory = directory
        (directory / ".continue").mkdir()
        config = at(proxy, PAGE.block("yaml")).replace("model: gpt-5.5", f"model: {model}")
        (directory / ".continue" / "config.yaml").write_text(config)
        path = f"{node().parent}:{node_packages('continue')}:{os.environ['PATH']}"
        self.env = environment(
            HOME=str(directory), PWD=str(directory), PATH=path, TERM="dumb", CONTINUE_TELEMETRY_ENABLED="0"
        )

    def run(self, *command):
        return subprocess.run(
            command, cwd=self.directory, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=PATIENCE,
        )

    def started(self, *arguments):
        return Program(node_packages("continue") / "cn", *arguments, env=self.env)


@pytest.fixture
def run(proxy, tmp_path):
    """Runs commands in a separate directory."""
    return Continue(tmp_path, proxy).run


@pytest.fixture
def failed(fault, failing, tmp_path):
    """The command with a failing program."""
    return Continue(tmp_path, failing, fault.model if fault is UNKNOWN_MODEL else "gpt-5.5")
