"""Installs published clients from the lock files next to their tests, once for each content of a lock file.

Tests of one suite may use the client of another, so several processes may run this at the same time.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

CLIENTS = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", CLIENTS.parent / "target"))
INSTALLED = TARGET / "clients"


def python(suite):
    """Returns a Python with the requirements.txt of `suite` installed, or else clients/requirements.txt."""
    own = CLIENTS / suite / "requirements.txt"
    lock = own if own.exists() else CLIENTS / "requirements.txt"
    # Its scripts contain its path, so one that was moved is of no use.
    root = INSTALLED / f"python-{digest(lock.read_bytes() + f'{sys.version} {INSTALLED}'.encode())}"
    with made_once(root / "complete", root) as is_missing:
        if is_missing:
            subprocess.run([sys.executable, "-m", "venv", root], check=True)
            pip = [root / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--require-hashes", "--requirement", lock], check=True)
    return root / "bin" / "python"


def node_packages(suite):
    """Returns the directory with the programs of the packages in the package-lock.json of `suite`."""
    directory = CLIENTS / suite
    modules = directory / "node_modules"
    lock = digest((directory / "package-lock.json").read_bytes())
    with made_once(modules / f"complete-{lock}", modules) as is_missing:
        if is_missing:
            subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=directory, check=True)
    return modules / ".bin"


def node():
    """Returns the Node that current clients need: the pinned one, or the machine's own if none is available."""
    pinned = node_packages("node-runtime") / "node"
    return pinned if pinned.exists() else Path(shutil.which("node"))


@contextmanager
def made_once(complete, directory):
    """Yields whether `directory` must be created, under a lock; the file `complete` marks a finished one."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / f"{digest(str(directory).encode())}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_missing = not complete.exists()
        if is_missing:
            shutil.rmtree(directory, ignore_errors=True)
        yield is_missing
        complete.touch()


@contextmanager
def login_ports():
    """Holds the ports to which a login redirects: a second login of another suite would take them away."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "login.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def digest(content):
    return hashlib.sha256(content).hexdigest()[:12]
