"""Runs every command and every program in the README unchanged.

Differences from a reader's machine: `codex-proxy` talks to the simulator, the browser is a script that approves, the port is a
free one, and `make` only checks whether the target exists.
"""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from harness import BINARIES, KEY, PATIENCE, Backend, environment

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

CODEX_PROXY = """#!/bin/sh
# Runs the program; a server continues in the background once it listens.
[ "$1" = serve ] || exec "{binary}" "$@"
shift
"{binary}" serve --host 127.0.0.1 -p "$PORT" "$@" >serve.log 2>&1 &
echo $! >>serve.pid
exec curl --silent --output /dev/null --retry 60 --retry-delay 1 --retry-connrefused "http://127.0.0.1:$PORT/health"
"""

MAKE = """#!/bin/sh
exec "{make}" --dry-run --no-print-directory --directory "{root}" "$@" >/dev/null
"""

# Opens the address like a browser, presses Approve, and follows the redirects.
BROWSER = """#!/bin/sh
transaction=$(curl --silent --fail "$1" | sed -n 's/.*name="transaction" value="\\([^"]*\\)".*/\\1/p')
exec curl --silent --fail --location --output /dev/null \\
    --data-urlencode "transaction=$transaction" --data decision=approve "$AUTH/oauth/authorize"
"""


# Programs that run services and containers are not run here; each call is only recorded.
ELSEWHERE = """#!/bin/sh
echo "$(basename "$0") $*" >>"$HOME/calls"
"""


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A reader's machine: a directory, an environment, and the servers that the README's commands start."""
    directory = tmp_path_factory.mktemp("reader")
    with Backend(directory, tls=False) as backend, socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
        free.close()
        tools = directory / "bin"
        tools.mkdir()
        make = subprocess.run(["which", "make"], capture_output=True, text=True, check=True).stdout.strip()
        for name, text in (
            ("codex-proxy", CODEX_PROXY.format(binary=BINARIES / "codex-proxy")),
            ("make", MAKE.format(make=make, root=ROOT)),
            ("browser", BROWSER),
            *((name, ELSEWHERE) for name in ("systemctl", "loginctl", "journalctl", "launchctl", "docker")),
        ):
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        env = environment(
            PATH=f"{tools}:{os.environ['PATH']}",
            HOME=str(directory),
            BROWSER=str(tools / "browser"),
            PORT=port,
            AUTH=backend.auth_url,
            CODEX_PROXY_API_KEY=KEY,
            **backend.settings(),
        )
        env.pop("DISPLAY", None)

        def run(*command, text):
            text = text.replace("8787", port)
            done = subprocess.run(
                command, input=text, cwd=directory, env=env, capture_output=True, text=True, timeout=2 * PATIENCE
            )
            log = directory / "serve.log"
            told = f"{text}\n{done.stdout}{done.stderr}{log.read_text() if log.exists() else ''}"
            assert done.returncode == 0, told
            return done.stdout

        try:
            yield run
        finally:
            pids = directory / "serve.pid"
            for pid in pids.read_text().split() if pids.exists() else []:
                subprocess.run(["kill", pid], check=False)


@pytest.fixture(scope="module")
def printed(reader):
    """The output of all commands, run as one script; the server they start keeps running."""
    return reader("bash", "-euo", "pipefail", text="".join(blocks("bash")))


def test_the_commands(printed):
    assert "logged in as user@example.com" in printed
    assert "data: [DONE]" in printed, "the request with curl is streamed to its end"


# LiteLLM's program is run with LiteLLM, in litellm/test_page.py.
@pytest.mark.parametrize("program", [text for text in blocks("python") if "litellm" not in text])
def test_the_programs(reader, printed, program):
    output = reader(sys.executable, "-", text=program)
    assert "Hello!" in output, "the simulated answer repeats the question"


def test_the_configuration(tmp_path):
    documented = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    examples = blocks("toml") + re.findall(r"^```toml\n(.*?)^```$", documented, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 2
    for example in examples:
        file = tmp_path / "config.toml"
        file.write_text(example)
        command = [BINARIES / "codex-proxy", "--config", file, "config", "show"]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        assert re.search(r"^aliases +.*work=gpt-5.5-high.* line \d+$", done.stdout, re.MULTILINE), done.stdout


def test_no_block_is_left_out():
    languages = set(re.findall(r"^```(\w+)$", README, re.MULTILINE))
    assert languages <= {"bash", "python", "text", "toml"}, "a block that no test runs"
