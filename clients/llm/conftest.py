import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from faults import UNKNOWN_MODEL
from harness import KEY, PATIENCE, environment
from snippets import Page, at

PAGE = Page("llm")


class Llm:
    """The command, with its own home directory that contains the page's file."""

    def __init__(self, proxy, home, model="gpt-5.5"):
        models = at(proxy, PAGE.block("yaml")).replace("gpt-5.5", model)
        (home / "extra-openai-models.yaml").write_text(models)
        (home / "keys.json").write_text(json.dumps({"codex-proxy": KEY}))
        self.home = home
        self._env = environment(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}", LLM_USER_PATH=str(home))

    def __call__(self, *arguments, stdin=""):
        return self._run("llm", *arguments, stdin=stdin)

    def shell(self, script):
        return self._run("bash", "-euc", script, stdin="")

    def _run(self, *command, stdin):
        return subprocess.run(command, env=self._env, input=stdin, capture_output=True, text=True, timeout=PATIENCE)

    def says(self, *arguments, stdin=""):
        """Runs a command that must succeed and returns its standard output."""
        done = self(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def at_home(running, tmp_path_factory):
    """One home directory for the whole suite, since creating the log of a new one takes longer than a prompt."""
    return Llm(running, tmp_path_factory.mktemp("llm"))


@pytest.fixture
def llm(proxy, at_home):
    return at_home


@pytest.fixture
def failed(fault, failing, running, request, tmp_path):
    """The command with a failing program and the model of the fault."""
    if failing is not running or fault is UNKNOWN_MODEL:
        return Llm(failing, tmp_path, fault.model)
    return request.getfixturevalue("llm")
