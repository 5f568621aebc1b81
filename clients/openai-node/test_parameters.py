"""Each request parameter of openai-node has a row in the tables of the translation."""

import subprocess
import sys

from environments import CLIENTS, node_packages

SCRIPT = CLIENTS.parent / "scripts" / "sdk-parameters"


def test_every_parameter_has_a_row():
    package = node_packages("openai-node").parent / "openai"
    done = subprocess.run([sys.executable, SCRIPT, package], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_parameter_without_a_row_is_printed(tmp_path):
    # An SDK of tomorrow.
    package = node_packages("openai-node").parent / "openai"
    for file in ("resources/chat/completions/completions.d.ts", "resources/responses/responses.d.ts", "resources/images.d.ts"):
        copy = tmp_path / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = (package / file).read_text(encoding="utf-8")
        copy.write_text(text.replace("    background_options?:", "    brand_new?: string;\n    background_options?:"), encoding="utf-8")
    done = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "RESPONSES: no row for `brand_new`\n"), done.stderr
