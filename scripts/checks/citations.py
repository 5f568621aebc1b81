"""Citations resolve: a section of docs/backend.md, a feature, a client or a rule, and each document that is named."""

import re

from checks import ROOT, fault, tracked

# `docs/clients/NAME.md` stands for each of them.
DOCUMENT = re.compile(r"(?<![\w/.:-])(docs/(?:[\w-]+/)*(?!NAME\b)[\w-]+\.md)\b")
SECTION = re.compile(r"docs/backend\.md[`)]*,? (§\d+(?:\.\d+)*(?:(?:, | and |-)§\d+(?:\.\d+)*)*)")
FEATURE = re.compile(r"docs/features\.md[`)]*,? ([A-Z]\d+(?:(?:, | and |-)[A-Z]\d+)*)")
QUIRK = re.compile(r"docs/clients/quirks\.md[`)]*,? (rules? \d+(?: (?:to|and) \d+)?|[A-Z][\w.-]*(?: (?:[A-Z][\w.-]*))*)")

SOURCES = (".rs", ".md", ".py", ".mjs", ".toml", ".yml", ".sh", ".json")


def check() -> None:
    """Checks every citation of the repository."""
    sections = set(re.findall(r"^#+ (\d+(?:\.\d+)*)\.? ", read("docs/backend.md"), re.MULTILINE))
    features = set(re.findall(r"\*\*([A-Z]\d+)\*\*", read("docs/features.md")))
    quirks = read("docs/clients/quirks.md")
    clients = [title.lower() for title in re.findall(r"^#+ (.+)", quirks, re.MULTILINE)]
    rules = set(re.findall(r"^(\d+)\. ", quirks, re.MULTILINE))
    for name in tracked():
        if not name.endswith(SOURCES) or name.startswith(("fuzz/corpus/", "CHANGELOG")):
            continue
        # A citation may run over the end of a line of a comment.
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            following = re.sub(r"^\s*(?://[/!]?|#)?", "", lines[number]) if number < len(lines) else ""
            joined = f"{line.rstrip()} {following.strip()}"
            here = f"{name}:{number}"
            for document in DOCUMENT.findall(line):
                if not (ROOT / document).is_file():
                    fault(here, f"cites {document}, which does not exist")
            for cited in begun(SECTION, joined, line):
                for section in re.findall(r"\d+(?:\.\d+)*", cited):
                    if section not in sections:
                        fault(here, f"cites docs/backend.md §{section}, which does not exist")
            for cited in begun(FEATURE, joined, line):
                for feature in re.findall(r"[A-Z]\d+", cited):
                    if feature not in features:
                        fault(here, f"cites docs/features.md {feature}, which does not exist")
            for cited in begun(QUIRK, joined, line):
                if cited.startswith("rule"):
                    missing = set(re.findall(r"\d+", cited)) - rules
                    if missing:
                        fault(here, f"cites a rule of docs/clients/quirks.md that does not exist: {', '.join(missing)}")
                elif not any(cited.rstrip(".").lower() in title for title in clients):
                    fault(here, f"cites {cited} in docs/clients/quirks.md, which has no such heading")


def begun(pattern: re.Pattern[str], joined: str, line: str) -> list[str]:
    """Returns what is cited by the matches that begin in `line`."""
    return [match[1] for match in pattern.finditer(joined) if match.start() < len(line.rstrip())]


def read(name: str) -> str:
    """Returns a document; empty if it does not exist."""
    path = ROOT / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""
