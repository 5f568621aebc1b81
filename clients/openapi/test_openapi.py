"""Compares the description at /openapi.json with the program: schemathesis generates valid and invalid requests from it and checks
that replies match the description and that invalid requests are rejected."""

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

from harness import KEY, PATIENCE, environment

HERE = Path(__file__).resolve().parent


def description(proxy):
    with urllib.request.urlopen(f"{proxy.url}/openapi.json", timeout=PATIENCE) as reply:
        return json.load(reply)


def test_the_program_is_as_described(proxy, backend, tmp_path):
    command = [Path(sys.executable).with_name("schemathesis"), "--config-file", HERE / "schemathesis.toml"]
    command += ["run", f"{proxy.url}/openapi.json", "--header", f"Authorization: Bearer {KEY}", "--no-color"]
    # Its hooks are a module in the directory it runs in.
    settings = environment(SCHEMATHESIS_HOOKS="checks", PYTHONPATH=str(HERE))
    done = subprocess.run(command, cwd=tmp_path, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

    # Excludes the description itself, which `openapi.rs` tests.
    operations = sum(len(methods) for methods in description(proxy)["paths"].values())
    assert f"{operations - 1} selected" in done.stdout
    made = int(re.search(r"(\d+) generated, (\d+) passed", done.stdout).group(1))
    assert made > 1_000, done.stdout
    # The backend must have received some valid requests.
    assert len(backend.turns()) > 100
