"""opencode as its users set it up: with the file of docs/clients/opencode.md, with both APIs."""

import json
import os
import subprocess

import pytest
from environments import node_packages
from harness import PATIENCE, Program, environment
from snippets import Page, at

PAGE = Page("opencode")


class Opencode:
    # The package declares no program.
    program = node_packages("opencode").parent / "opencode-linux-x64" / "bin" / "opencode"

    def __init__(self, directory, proxy, package):
        self.directory = directory / "work"
        self.directory.mkdir()
        config = json.loads(at(proxy, PAGE.block("json")))
        provider = config["provider"]["codex-proxy"]
        provider["npm"] = package
        # For the test of an unknown model.
        provider["models"]["no-such-model"] = {}
        (self.directory / "opencode.json").write_text(json.dumps(config))
        self.env = environment(
            HOME=str(directory), PWD=str(self.directory), PATH=f"{self.program.parent}:{os.environ['PATH']}", TERM="dumb",
            OPENCODE_DISABLE_MODELS_FETCH="1", OPENCODE_DISABLE_AUTOUPDATE="1", OPENCODE_DISABLE_LSP_DOWNLOAD="1",
        )

    def run(self, *command):
        return subprocess.run(
            command, cwd=self.directory, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=2 * PATIENCE,
        )

    def say(self, message, *arguments):
        """Runs a turn. A given title avoids a second request for one."""
        done = self.run("opencode", "run", "--title", "A test", message, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def started(self, message, *arguments):
        command = ["opencode", "run", "--title", "A test", "--print-logs", message, *arguments]
        return Program("env", "-C", self.directory, *command, env=self.env)


PACKAGES = {"chat": "@ai-sdk/openai-compatible", "responses": "@ai-sdk/openai"}


@pytest.fixture(params=PACKAGES)
def opencode(proxy, tmp_path, request):
    return Opencode(tmp_path, proxy, PACKAGES[request.param])


@pytest.fixture
def by_the_page(proxy, tmp_path):
    return Opencode(tmp_path, proxy, PACKAGES["responses"])


@pytest.fixture
def failed(failing, tmp_path):
    return Opencode(tmp_path, failing, PACKAGES["responses"])
