"""Who imports whom within a crate, file by file: wings are imported downwards only, and files form no circles.

The order of a crate's wings is the order of the rows under `### CRATE` in ARCHITECTURE.md's section "Wings". A wing is a folder
or a file directly under `src`. A circle of files is allowed if the `mod.rs` beside them says why, in a line of its documentation
that begins with `Circle:` and names each file.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from checks import ROOT, fault, without_tests

COMMENT = re.compile(r"//[^\n]*")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
USE = re.compile(r"\b(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);")
PATH = re.compile(r"(?<![\w:])(\w+(?:::\w+)+)")
CHILD = re.compile(r"^\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;", re.MULTILINE)

Module = tuple[str, ...]


class Crate:
    """The modules of a crate and what each of them names of the others."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.files: dict[Module, Path] = {}
        self.exports: dict[Module, dict[str, Module]] = {}
        self.uses: dict[Module, set[Module]] = {}
        for path in sorted(source.rglob("*.rs")):
            parts = path.relative_to(source).with_suffix("").parts
            if parts in {("lib",), ("mod",)}:
                self.files[()] = path
            elif parts != ("main",) and parts[0] != "bin":
                self.files[parts[:-1] if parts[-1] == "mod" else parts] = path
        texts = {module: code(path) for module, path in self.files.items()}
        children = {module: set(CHILD.findall(text)) for module, text in texts.items()}
        for module, text in texts.items():
            exported: dict[str, Module] = {}
            for visibility, tree in USE.findall(text):
                if visibility:
                    for name, path in leaves(tree):
                        exported[name] = absolute(path, module, children[module])
            self.exports[module] = exported
        for module, text in texts.items():
            self.uses[module] = set(self.named(module, text, children[module])) - {module}

    def named(self, module: Module, text: str, children: set[str]) -> Iterator[Module]:
        """Yields the modules whose items `module` names."""
        imported: dict[str, Module] = {}
        for visibility, tree in USE.findall(text):
            for name, path in leaves(tree):
                target = absolute(path, module, children)
                # A re-export says where a thing is; whoever uses the thing is counted as using its file. Likewise, importing a
                # module is not using it.
                if target and not visibility:
                    imported[name] = target
                    if target not in self.files:
                        yield self.resolve(target)
        for path in PATH.findall(USE.sub("", text)):
            parts = tuple(path.split("::"))
            target = imported[parts[0]] + parts[1:] if parts[0] in imported else absolute(parts, module, children)
            if target:
                yield self.resolve(target)

    def resolve(self, path: Module, depth: int = 0) -> Module:
        """Returns the module in which the item at `path` is defined."""
        module: Module = ()
        for index, name in enumerate(path):
            if module + (name,) in self.files:
                module += (name,)
                continue
            exported = self.exports[module].get(name) or self.exports[module].get("*")
            if exported and depth < 8:
                rest = path[index + 1 :]
                return self.resolve(exported + rest, depth + 1)
            return module
        return module

    def wing(self, module: Module) -> str:
        """Returns the name of the wing that a module is in."""
        return module[0] if module else "lib"


def code(path: Path) -> str:
    """Returns a file without tests, comments and strings."""
    return STRING.sub('""', COMMENT.sub("", without_tests(path.read_text(encoding="utf-8"))))


def leaves(tree: str, prefix: Module = ()) -> Iterator[tuple[str, Module]]:
    """Yields each name that a use tree brings, with its path."""
    tree = tree.strip()
    group = re.fullmatch(r"(?:(.*?)::)?\{(.*)\}", tree, re.DOTALL)
    if group:
        inner = prefix + tuple(filter(None, re.split(r"\s*::\s*", group[1] or "")))
        for part in split(group[2]):
            yield from leaves(part, inner)
        return
    path, _, alias = tree.partition(" as ")
    parts = prefix + tuple(re.split(r"\s*::\s*", path.strip()))
    if parts[-1] == "self":
        parts = parts[:-1]
    yield (alias.strip() or parts[-1]), parts


def split(text: str) -> Iterator[str]:
    """Yields the parts of a use group, which may hold groups."""
    depth, start = 0, 0
    for index, letter in enumerate(text):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            yield text[start:index]
            start = index + 1
    if text[start:].strip():
        yield text[start:]


def absolute(path: Module, module: Module, children: set[str]) -> Module:
    """Returns a path from the root of the crate; empty if it leads out of the crate."""
    head, rest = path[0], path[1:]
    if head == "crate":
        return rest
    if head == "self":
        return module + rest
    base = module
    while head == "super":
        base = base[:-1]
        if not rest or rest[0] != "super":
            return base + rest
        rest = rest[1:]
    return module + path if head in children else ()


def circles(crate: Crate) -> Iterator[list[Module]]:
    """Yields the groups of modules that reach each other (Tarjan's strongly connected components)."""
    index: dict[Module, int] = {}
    low: dict[Module, int] = {}
    stack: list[Module] = []

    def visit(module: Module) -> Iterator[list[Module]]:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(crate.uses[module]):
            if other not in index:
                yield from visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = [stack.pop()]
            while group[-1] != module:
                group.append(stack.pop())
            if len(group) > 1:
                yield sorted(group)

    for module in sorted(crate.files):
        if module not in index:
            yield from visit(module)


def check(crate_name: str, order: list[str]) -> None:
    """Checks the wings and the circles of one crate."""
    crate = Crate(ROOT / "crates" / crate_name / "src")
    here = f"crates/{crate_name}/src"
    rank = {wing: place for place, wing in enumerate(order)}
    for wing in sorted({crate.wing(module) for module in crate.files} - set(rank)):
        fault("ARCHITECTURE.md", f'does not list {crate_name}\'s `{wing}` under "Wings"')
    for wing in sorted(set(rank) - {crate.wing(module) for module in crate.files}):
        fault("ARCHITECTURE.md", f'lists `{wing}` under "Wings", which {crate_name} does not have')
    for module, path in crate.files.items():
        for other in sorted(crate.uses[module]):
            above, below = crate.wing(module), crate.wing(other)
            if rank.get(above, 0) > rank.get(below, len(rank)):
                file = crate.files[other].relative_to(crate.source)
                fault(f"{here}/{path.relative_to(crate.source)}", f"imports {file}: `{below}` stands above `{above}`")
    for group in circles(crate):
        files = [crate.files[module] for module in group]
        if not any(excused(files, mod) for mod in files):
            names = ", ".join(str(file.relative_to(crate.source)) for file in files)
            fault(here, f"files form a circle: {names}")


def excused(files: list[Path], mod: Path) -> bool:
    """Says whether `mod` gives a reason for a circle of `files`."""
    if mod.name not in {"mod.rs", "lib.rs"}:
        return False
    documentation = " ".join(re.findall(r"^//! ?(.*)", mod.read_text(encoding="utf-8"), re.MULTILINE))
    reasons = re.findall(r"Circle: (.*)", documentation)
    return any(all(f"`{name(file, mod)}`" in reason for file in files if file != mod) for reason in reasons)


def name(file: Path, mod: Path) -> str:
    """Returns how `mod` names a file beside or below it."""
    return file.relative_to(mod.parent).as_posix() if file.is_relative_to(mod.parent) else file.as_posix()


def wings(architecture: str) -> dict[str, list[str]]:
    """Reads the order of the wings of each crate."""
    section = re.search(r"^## Wings\n(.*?)(?=^## |\Z)", architecture, re.MULTILINE | re.DOTALL)
    if not section:
        return {}
    crates: dict[str, list[str]] = {}
    for block in re.split(r"^### ", section[1], flags=re.MULTILINE)[1:]:
        title, _, body = block.partition("\n")
        rows = re.findall(r"^\| (`[^|]*) \|", body, re.MULTILINE)
        crates[title.strip().strip("`")] = [wing for row in rows for wing in re.findall(r"`([\w]+)[/.\w]*`", row)]
    return crates
