"""aider as its users set it up: with the files of docs/clients/aider.md, in its own git repository."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import PATIENCE, Program, environment
from snippets import Page, at

PAGE = Page("aider")
# Its options for quiet output; its requests to other servers are switched off.
QUIET = "analytics-disable: true\ncheck-update: false\nshow-release-notes: false\nsuggest-shell-commands: false\npretty: false\n"


class Aider:
    def __init__(self, directory, proxy):
        self.repository = directory / "repository"
        self.repository.mkdir()
        for name, text in {
            ".aider.conf.yml": at(proxy, PAGE.block("yaml", "openai-api-base")) + QUIET,
            ".aider.model.settings.yml": PAGE.block("yaml", "edit_format"),
            ".aider.model.metadata.json": PAGE.block("json"),
            ".gitignore": ".aider*\n",
            "greet.py": 'def greet():\n    return "hi"\n',
        }.items():
            (self.repository / name).write_text(text)
        self.bin = Path(sys.executable).parent
        self.env = environment(
            HOME=str(directory), PATH=f"{self.bin}:{os.environ['PATH']}", TERM="dumb", LITELLM_LOCAL_MODEL_COST_MAP="True",
            PYTHONUNBUFFERED="1", GIT_CONFIG_GLOBAL=os.devnull, GIT_AUTHOR_NAME="A", GIT_AUTHOR_EMAIL="a@example.com",
            GIT_COMMITTER_NAME="A", GIT_COMMITTER_EMAIL="a@example.com",
        )
        self.git("init", "--quiet")
        self.git("add", "greet.py", ".gitignore")
        self.git("commit", "--quiet", "--message", "Say hi")

    def git(self, *arguments):
        done = subprocess.run(
            ["git", *arguments], cwd=self.repository, env=self.env, capture_output=True, text=True, check=True, timeout=PATIENCE
        )
        return done.stdout

    def run(self, *command):
        """Runs a command in the repository and returns its output."""
        done = subprocess.run(
            command, cwd=self.repository, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def say(self, message, *arguments):
        return self.run("aider", "--yes-always", "--message", message, *arguments)

    def started(self, message, *arguments):
        """Starts the same as a running process."""
        command = ["aider", "--yes-always", "--message", message, *arguments]
        return Program("env", "-C", self.repository, *command, env=self.env)


@pytest.fixture
def aider(proxy, tmp_path):
    return Aider(tmp_path, proxy)


@pytest.fixture
def failed(failing, tmp_path):
    return Aider(tmp_path, failing)
