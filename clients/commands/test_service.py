"""`codex-proxy service` with the real program and a fake systemd that records its calls."""

import os
import stat
import sys

import pytest
from harness import BINARIES, Program, environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a Mac has launchd")

FAKE = """#!/bin/sh
echo "$(basename "$0") $*" >>"$CALLS"
case "$*" in *show-user*) echo Linger=no ;; esac
"""


@pytest.fixture
def user(tmp_path):
    """A user's home directory, and the programs of a running systemd."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("systemctl", "loginctl", "journalctl"):
        (tools / name).write_text(FAKE)
        (tools / name).chmod(0o755)
    env = environment(
        PATH=f"{tools}:{os.environ['PATH']}", HOME=str(tmp_path), CALLS=str(tmp_path / "calls"), HTTPS_PROXY="http://p:3128"
    )
    env.pop("XDG_CONFIG_HOME", None)

    def run(*arguments, **more):
        with Program(BINARIES / "codex-proxy", "service", *arguments, env=env | more) as program:
            return program.wait(), program.output

    return tmp_path, run


def test_install_logs_and_remove(user):
    home, run = user
    code, output = run("install", "-p", "9000")
    assert code == 0 and "http://localhost:9000/v1" in output and "enable-linger" in output, output
    settings = home / ".codex-proxy" / "service.env"
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    lines = dict(line.split("=", 1) for line in settings.read_text().splitlines() if not line.startswith("#"))
    assert lines["CODEX_PROXY_PORT"] == '"9000"' and lines["https_proxy"] == '"http://p:3128"'
    key = lines["CODEX_PROXY_API_KEY"].strip('"')
    assert len(key) == 64 and key in output
    unit = home / ".config" / "systemd" / "user" / "codex-proxy.service"
    assert f'ExecStart="{BINARIES / "codex-proxy"}" serve' in unit.read_text()

    code, output = run("install")
    assert code == 0 and key not in output and key in settings.read_text()
    assert run("status")[0] == 0 and run("logs", "--follow")[0] == 0
    code, output = run("remove")
    assert code == 0 and "still logged in" in output and not settings.exists() and not unit.exists()
    calls = (home / "calls").read_text()
    for call in (
        "systemctl --user enable codex-proxy.service",
        "systemctl --user restart codex-proxy.service",
        "journalctl --user --unit codex-proxy.service --lines 100 --follow",
        "systemctl --user disable --now codex-proxy.service",
    ):
        assert call in calls
    assert key not in calls


def test_without_systemd_it_says_what_to_do(user):
    home, run = user
    (home / "bin" / "systemctl").write_text("#!/bin/sh\necho 'Failed to connect to bus: No medium found' >&2\nexit 1\n")
    code, output = run("install")
    assert code == 1 and "No medium found" in output and "codex-proxy serve" in output
    assert not (home / ".codex-proxy").exists() and not (home / ".config").exists()
    assert run("status")[0] == 1 and "service install" in run("logs")[1]
