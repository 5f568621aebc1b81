"""The completions in the shells themselves."""

import os
import pty
import re
import subprocess

import pytest
from harness import BINARIES, PATIENCE, Program, environment

ENV = environment(PATH=f"{BINARIES}:{os.environ['PATH']}", TERM="xterm")

BASH = """
eval "$(codex-proxy completions bash)"
complete -p codex-proxy
COMP_WORDS=({words} "{last}"); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_codex_proxy
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

CASES = [
    ("codex-proxy", "ser", ["serve", "service"]),
    ("codex-proxy service", "st", ["status"]),
    ("codex-proxy serve", "--por", ["--port"]),
    ("codex-proxy serve --emulate", "c", ["chrome", "codex"]),
    ("codex-proxy login --workspace serve", "--dev", ["--device"]),
]


def shell(*command):
    done = subprocess.run(command, env=ENV, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("words, last, found", CASES)
def test_bash(words, last, found):
    function, *printed = shell("bash", "--norc", "-c", BASH.format(words=words, last=last))
    assert "-F _codex_proxy codex-proxy" in function and printed == found


@pytest.mark.parametrize("words, last, found", CASES)
def test_fish(words, last, found):
    script = f"codex-proxy completions fish | source; complete --do-complete '{words} {last}'"
    assert [line.split("\t")[0] for line in shell("fish", "--no-config", "-c", script)] == found


def test_fish_offers_files_where_there_is_nothing_else(tmp_path):
    (tmp_path / "mine.toml").touch()
    script = f"cd {tmp_path}; codex-proxy completions fish | source; complete --do-complete 'codex-proxy --config mi'"
    assert shell("fish", "--no-config", "-c", script) == ["mine.toml"]


@pytest.mark.parametrize("words, whole", [("service sta", "service status"), ("serve --emulate ch", "serve --emulate chrome")])
def test_zsh(words, whole):
    """On a terminal, since zsh completes only there."""
    terminal, end = pty.openpty()
    with Program("zsh", "-f", "-i", env=ENV | {"PS1": "", "PROMPT_EOL_MARK": ""}, stdin=end) as zsh:
        os.close(end)
        os.write(terminal, b'autoload -Uz compinit && compinit -u -D; eval "$(codex-proxy completions zsh)"; echo read""y\n')
        zsh.line("ready")
        # The completed line becomes the argument of an echo at the start of the line (Ctrl-A).
        os.write(terminal, f"codex-proxy {words}\t\x01echo -- \n".encode())
        assert re.search(whole, zsh.line(rf"codex-proxy {whole}\b").group())
    os.close(terminal)
