"""The official client as its users set it up: with the files of docs/clients/codex-cli.md."""

import subprocess

import pytest
from codex_cli import Interface, quiet
from environments import node_packages
from harness import KEY, PATIENCE, environment
from snippets import Page, at

PAGE = Page("codex-cli")


class Cli:
    """The client in its own directory."""

    program = node_packages("codex-cli") / "codex"

    def __init__(self, directory, proxy, config):
        self.directory = directory
        (directory / ".codex").mkdir()
        (directory / ".codex" / "config.toml").write_text(at(proxy, config) + quiet(directory))
        # The key is for the configuration that reads it from here.
        self.env = environment(HOME=str(directory), CODEX_PROXY_API_KEY=KEY, TERM="xterm-256color")

    def exec(self, *arguments):
        return subprocess.run(
            [self.program, "exec", "--skip-git-repo-check", *arguments], env=self.env, cwd=self.directory,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
        )

    def terminal(self, model):
        """Starts the interface in a terminal."""
        return Interface(self.program, "-m", model, env=self.env, cwd=self.directory)


CONFIGS = {"http": PAGE.block("toml", "env_key"), "websocket": PAGE.block("toml", "http_headers")}


@pytest.fixture(params=CONFIGS)
def transport(request):
    """Each of the page's two files: the key in the environment with HTTP, or in the file with a WebSocket."""
    return request.param


@pytest.fixture
def cli(proxy, tmp_path, transport):
    return Cli(tmp_path, proxy, CONFIGS[transport])


@pytest.fixture
def set_up(tmp_path):
    """Sets the client up for a proxy and a transport."""
    return lambda proxy, transport: Cli(tmp_path, proxy, CONFIGS[transport])


@pytest.fixture
def by_environment(proxy, tmp_path):
    return Cli(tmp_path, proxy, CONFIGS["http"])


@pytest.fixture
def failed(failing, tmp_path, transport):
    """The client with a failing program."""
    return Cli(tmp_path, failing, CONFIGS[transport])
