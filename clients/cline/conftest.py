"""The Cline CLI as its users set it up: with the commands of docs/clients/cline.md."""

import os
import subprocess

import pytest
from environments import node_packages
from harness import PATIENCE, Program, environment
from snippets import Page, at

PAGE = Page("cline")


class Cline:
    program = node_packages("cline") / "cline"

    def __init__(self, directory, proxy):
        self.directory = directory / "work"
        self.directory.mkdir()
        self.env = environment(
            HOME=str(directory), PWD=str(self.directory), PATH=f"{self.program.parent}:{os.environ['PATH']}", TERM="dumb",
            CLINE_NO_AUTO_UPDATE="1",
        )
        self.commands = at(proxy, PAGE.block("bash", "cline auth")).splitlines()

    def run(self, *command):
        return subprocess.run(
            command, cwd=self.directory, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
        )

    def set_up(self):
        done = self.run("bash", "-ec", self.commands[0])
        assert done.returncode == 0, done.stdout + done.stderr
        return self

    def started(self, *arguments):
        return Program("env", "-C", self.directory, "cline", *arguments, env=self.env)


@pytest.fixture
def cline(proxy, tmp_path):
    return Cline(tmp_path, proxy).set_up()


@pytest.fixture
def failed(failing, tmp_path):
    return Cline(tmp_path, failing).set_up()
