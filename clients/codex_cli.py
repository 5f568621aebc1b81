"""The official client with a login of the simulated backend: `codex exec`, and its terminal interface."""

import json
import os
import re
import subprocess
from dataclasses import dataclass

from environments import node_packages
from harness import PATIENCE
from terminal import Terminal

TOKENS = ("id_token", "access_token", "refresh_token", "account_id")


@dataclass
class Ran:
    code: int
    stdout: str
    stderr: str


class Codex:
    """The client in a directory of its own, with `login`. It sends turns to `base_url`, and all else to `chatgpt_base_url`."""

    def __init__(
        self, directory, backend, base_url, *, model, chatgpt_base_url=None, websockets=False, login=None, config="", program=None
    ):
        self.directory = directory
        self.program = program or node_packages("codex-cli") / "codex"
        home = directory / "codex-home"
        home.mkdir(parents=True)
        if login:
            auth = {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": {name: login[name] for name in TOKENS}}
            (home / "auth.json").write_text(json.dumps(auth | {"last_refresh": "2026-11-23T00:00:00Z"}))
        chatgpt = chatgpt_base_url or backend.upstream_url
        # By this name the client decides whether to compress and to send routing hints, as for its own provider.
        (home / "config.toml").write_text(
            f'{config}model = "{model}"\nmodel_provider = "tested"\nchatgpt_base_url = "{chatgpt}"\n'
            f'[model_providers.tested]\nname = "OpenAI"\nbase_url = "{base_url}"\nwire_api = "responses"\n'
            f"supports_websockets = {str(websockets).lower()}\nrequires_openai_auth = true\n{quiet(directory)}"
        )
        # Nothing of the terminal and the desktop in which the tests run: the client reports it, and opens browsers there.
        self.env = {
            "CODEX_HOME": str(home),
            "CODEX_CA_CERTIFICATE": str(backend.ca),
            "CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"{backend.auth_url}/oauth/token",
            "CODEX_REVOKE_TOKEN_URL_OVERRIDE": f"{backend.auth_url}/oauth/revoke",
            "HOME": str(directory),
            "PATH": os.environ["PATH"],
            "TERM": "xterm-256color",
        }

    def exec(self, prompt, *arguments):
        """Runs `codex exec` to its end."""
        return self.run("exec", "--skip-git-repo-check", *arguments, prompt)

    def run(self, *arguments):
        ran = subprocess.run(
            [self.program, *arguments], env=self.env, cwd=self.directory, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=PATIENCE,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def terminal(self):
        """Starts the interface in a terminal."""
        return Interface(self.program, env=self.env, cwd=self.directory)


def quiet(directory):
    """Returns the end of a configuration with which the client neither asks before it starts nor leaves a daemon behind."""
    return (
        # Plugins, apps and usage data concern OpenAI's servers, not the provider's.
        "[analytics]\nenabled = false\n[features]\nplugins = false\napps = false\ndaemon_auto_start = false\n"
        # Whether to change to a newer model, and whether to trust the directory.
        '[notice.model_migrations]\n"gpt-5.5" = "gpt-6-sol"\n'
        f'[projects."{directory}"]\ntrust_level = "trusted"\n'
    )


class Interface(Terminal):
    """The client's interface in a terminal."""

    def __init__(self, program, *arguments, env, cwd):
        # What is typed fast is not pasted.
        settings = ["-c", "disable_paste_burst=true", "-c", "check_for_update_on_startup=false"]
        super().__init__(program, *settings, *arguments, env=env, cwd=cwd)

    def say(self, text):
        """Types a message or a command and submits it."""
        self.shows("(?m)^›")
        self.type(text)
        # The end of the text, which fits on a line of the screen.
        self.shows(re.escape(text[-20:]))
        self.type("\r")
