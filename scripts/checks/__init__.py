"""What `scripts/check-architecture` and `scripts/check-style` share."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# The four crates that are published or installed; names are unique over all of them.
CRATES = ("codex-translate", "codex-auth", "codex-upstream", "codex-proxy-bin")

FAULTS: list[str] = []


def fault(where: str, what: str) -> None:
    """Notes a fault; `report` prints all of them."""
    FAULTS.append(f"{where}: {what}")


def report() -> int:
    """Prints the faults and returns the exit status."""
    for line in FAULTS:
        print(line)
    return 1 if FAULTS else 0


def run(*command: str) -> str:
    """Returns what a command prints."""
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def tracked() -> list[str]:
    """Returns the files of the repository, including new ones, without those that are deleted."""
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    return sorted({name for name in names if (ROOT / name).is_file()})


def without_tests(source: str) -> str:
    """Returns a Rust file up to its tests, which stand at the bottom."""
    return re.split(r"^#\[cfg\((?:all\()?test\b[^\n]*\n(?:#\[[^\n]*\n)*(?:pub\(crate\) )?mod ", source, maxsplit=1, flags=re.MULTILINE)[0]
