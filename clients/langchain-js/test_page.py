"""docs/clients/langchain.md's program in JavaScript, as a reader runs it."""

import node
from exercised import exercises
from snippets import Page, at


@exercises("chat", "stream")
def test_the_program(proxy, backend):
    program = at(proxy, Page("langchain").block("js"))
    done = node.run("langchain-js", "--input-type=module", stdin=program)
    assert done.returncode == 0 and "Hello!" in done.stdout, done.stderr
    (turn,) = backend.turns()
    assert turn["body"]["model"] == "gpt-5.5"
