"""JavaScript clients: a program that reads calls from standard input, one JSON object per line, and answers each with one.

The program's side is `node-runtime/calls.mjs`. One process serves a whole suite, since starting one takes a second.
"""

import json
import subprocess
import threading

from environments import CLIENTS, node, node_packages
from harness import PATIENCE, environment


class Thrown(Exception):
    """An error thrown in JavaScript: its class, message, and other properties."""

    def __init__(self, error):
        super().__init__(f"{error['name']}: {error['message']}")
        self.name, self.message = error["name"], error["message"]
        self.properties = error["properties"]


class Node:
    """A running program of the suite in `directory`."""

    def __init__(self, directory, program, **settings):
        node_packages(directory)
        command = [node(), program]
        self._process = subprocess.Popen(
            command, cwd=CLIENTS / directory, env=environment(**settings), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, bufsize=1,
        )

    def call(self, name, **arguments):
        """Calls the program's function `name` and returns its value, or raises `Thrown`."""
        timer = threading.Timer(PATIENCE, self._process.kill)
        timer.start()
        try:
            print(json.dumps({"call": name, "with": arguments}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        assert line, f"{name} was not answered: the program ended, or was silent for {PATIENCE} s"
        answer = json.loads(line)
        if "thrown" in answer:
            raise Thrown(answer["thrown"])
        return answer.get("value")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait(PATIENCE)


def run(directory, program, *arguments, stdin="", **settings):
    """Runs a program of the suite in `directory` to its end and returns the result of `subprocess.run`."""
    node_packages(directory)
    return subprocess.run(
        [node(), program, *arguments], cwd=CLIENTS / directory, env=environment(**settings),
        input=stdin, capture_output=True, text=True, timeout=2 * PATIENCE,
    )

