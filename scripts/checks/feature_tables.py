"""The tables of features list every feature, and their numbers of crates are those of `cargo tree`."""

import re
import tomllib

from checks import ROOT, fault, run, tracked

TARGET = "x86_64-unknown-linux-gnu"
PAGE = "docs/from-login-to-stream.md"

# | `feature` or none | default | what it adds | number |
FEATURE = re.compile(r"\| (none|`[\w-]+`) \|[^|]*\|[^|]*\| (\d+) \|")
# | purpose | `crate` | none, default or `feature` | number |
PURPOSE = re.compile(r"\| [^|]* \| `([\w-]+)` \| (none|default|`[\w-]+`) \| (\d+) \|")


def check() -> None:
    """Checks the README of each crate, and the page that compares them."""
    for name in tracked():
        if re.fullmatch(r"crates/[\w-]+/README\.md", name):
            crate = name.split("/")[1]
            rows = FEATURE.findall(table(name))
            complete(name, crate, [features.strip("`") for features, _ in rows])
            for features, said in rows:
                compare(name, crate, features, int(said))
    for crate, features, said in PURPOSE.findall(table(PAGE)):
        compare(PAGE, crate, features, int(said))


def table(name: str) -> str:
    """Returns the lines of the table that has the numbers; empty if there is none."""
    _, _, rows = (ROOT / name).read_text(encoding="utf-8").partition("| Crates in total |\n")
    return rows.partition("\n\n")[0]


def complete(name: str, crate: str, listed: list[str]) -> None:
    """Compares the features in a table with the manifest."""
    manifest = tomllib.loads((ROOT / "crates" / crate / "Cargo.toml").read_text(encoding="utf-8"))
    features = [feature for feature in manifest.get("features", {}) if feature != "default"]
    wanted = ["none", *features] if features else []
    if listed != wanted:
        fault(name, f"lists the features {listed}, and Cargo.toml has {wanted}")


def compare(name: str, crate: str, features: str, said: int) -> None:
    """Counts the crates of `crate` with `features`."""
    options = {"default": [], "none": ["--no-default-features"]}
    chosen = options.get(features, ["--no-default-features", "--features", features.strip("`")])
    tree = run("cargo", "tree", "--locked", "--target", TARGET, "-e", "normal", "--prefix", "none", "-p", crate, *chosen)
    count = len({line.removesuffix(" (*)") for line in tree.splitlines() if line})
    if count != said:
        fault(name, f"{crate} with {features} has {count} crates, not {said}")
