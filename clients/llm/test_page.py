"""docs/clients/llm.md, as a reader runs it. All tests here use its file of models."""

from exercised import exercises
from snippets import Page, at

PAGE = Page("llm")


@exercises("chat", "tools", "schemas", "turns")
def test_the_commands(llm, backend):
    done = llm.shell(PAGE.block("bash", "llm models default"))
    assert done.returncode == 0, done.stderr
    assert [f"“{asked}”" in done.stdout for asked in ("Hello!", "And now in French.", "What time is it?", "Why is the sky blue?")] == [True] * 4
    first, second, *_ = backend.turns()
    assert len(first["body"]["input"]) == 1 and len(second["body"]["input"]) == 3


def test_the_endpoint(llm, proxy, backend):
    done = llm.shell(at(proxy, PAGE.block("bash", "endpoint")))
    assert done.returncode == 0 and "Hello!" in done.stdout, done.stderr
    assert len(backend.turns()) == 1


def test_where_the_file_goes(llm):
    assert llm.shell('dirname "$(llm logs path)"').stdout.strip() == str(llm.home)
