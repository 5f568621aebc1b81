"""The files shipped with the program: archives and their install script, units, manual page, container, workflows."""

import hashlib
import http.server
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
import yaml
from harness import BINARIES, PATIENCE, environment

ROOT = Path(__file__).resolve().parent.parent.parent
CONTRIB = ROOT / "contrib"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def run(*command, **more):
    command = [str(part) for part in command]
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, check=False, **more)


def target():
    """Returns the release target of this machine, as the script determines it."""
    script = (CONTRIB / "install.sh").read_text().replace('main "$@"', "target")
    done = run("sh", "-c", script)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def releases(tmp_path):
    """A server of releases; the latest is packed from the built program."""
    latest = tmp_path / "releases" / "latest" / "download"
    packed = run(ROOT / "scripts" / "package", BINARIES / "codex-proxy", target(), latest)
    assert packed.returncode == 0, packed.stderr
    sums(latest)
    shutil.copytree(latest, tmp_path / "releases" / "download" / "v1.2.3")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield latest, f"http://127.0.0.1:{server.server_port}/releases"
    server.shutdown()
    server.server_close()


def sums(directory):
    """Writes SHA256SUMS as the workflow does."""
    files = sorted(file for file in directory.iterdir() if file.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (directory / "SHA256SUMS").write_text("".join(lines))


def install(home, releases, *arguments):
    env = environment(HOME=str(home), CODEX_PROXY_RELEASES=releases)
    env.pop("XDG_DATA_HOME", None)
    return run("sh", CONTRIB / "install.sh", *arguments, env=env)


def test_a_release_is_installed_and_brought_up_to_date(releases, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    for arguments in ((), ("--version", "1.2.3"), ("--version", "v1.2.3")):
        done = install(home, releases[1], *arguments)
        assert done.returncode == 0, done.stderr
        assert "codex-proxy login" in done.stdout and "PATH" in done.stdout
    program = home / ".local" / "bin" / "codex-proxy"
    assert run(program, "version").stdout.startswith("codex-proxy ")
    share = home / ".local" / "share"
    assert (share / "man/man1/codex-proxy.1").read_text() == (CONTRIB / "codex-proxy.1").read_text()
    assert (share / "bash-completion/completions/codex-proxy").exists()
    assert install(home, releases[1], "--to", tmp_path / "elsewhere").returncode == 0
    assert (tmp_path / "elsewhere" / "codex-proxy").exists()


def test_what_is_not_in_the_sums_is_not_installed(releases, tmp_path):
    latest, address = releases
    archive = latest / f"codex-proxy-{target()}.tar.gz"
    archive.write_bytes(archive.read_bytes() + b"x")
    done = install(tmp_path, address)
    assert done.returncode == 1 and "does not match SHA256SUMS" in done.stderr
    (latest / "SHA256SUMS").write_text("")
    done = install(tmp_path, address)
    assert done.returncode == 1 and "does not list" in done.stderr
    archive.unlink()
    done = install(tmp_path, address)
    assert done.returncode == 1 and "cannot fetch" in done.stderr
    assert not (tmp_path / ".local").exists()


def test_the_script_says_what_it_needs(tmp_path):
    done = install(tmp_path, "")
    assert done.returncode == 1 and "CODEX_PROXY_RELEASES" in done.stderr and "make install" in done.stderr
    assert install(tmp_path, "", "--nonsense").returncode == 64
    assert install(tmp_path, "", "--help").stdout.startswith("usage: ")


def test_scripts_are_clean():
    scripts = [CONTRIB / "install.sh", ROOT / "scripts" / "package", ROOT / "scripts" / "setup"]
    done = run("shellcheck", *scripts, CONTRIB / "completions" / "codex-proxy.bash")
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="systemd runs on Linux alone")
@pytest.mark.parametrize("unit, scope", [("codex-proxy.service", "--user"), ("codex-proxy-system.service", "--system")])
def test_units(unit, scope, tmp_path):
    text = (CONTRIB / unit).read_text()
    # The check needs the program to exist.
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={BINARIES / 'codex-proxy'}", text, flags=re.MULTILINE)
    file = tmp_path / "codex-proxy.service"
    file.write_text(text)
    env = environment(XDG_RUNTIME_DIR=str(tmp_path), HOME=str(tmp_path))
    done = run("systemd-analyze", scope, "verify", "--man=no", file, env=env)
    assert done.returncode == 0 and str(file) not in done.stderr, done.stderr
    if scope == "--system":
        # In tenths; a unit without any protection scores 96.
        done = run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", file, env=env)
        assert done.returncode == 0, done.stdout


def test_manual_page():
    done = run("mandoc", "-T", "lint", "-W", "warning", CONTRIB / "codex-proxy.1")
    # The page has no date, so it is the same every day.
    faults = [line for line in done.stdout.splitlines() + done.stderr.splitlines() if "missing date" not in line]
    assert faults == []
    page = run("mandoc", "-T", "ascii", CONTRIB / "codex-proxy.1").stdout
    assert "service install" in page


def test_the_container_is_told_to_be_healthy_by_the_program(running):
    text = (ROOT / "Dockerfile").read_text()
    command = re.search(r'^HEALTHCHECK .*CMD \["/usr/local/bin/codex-proxy", "(\w+)"\]$', text, re.MULTILINE).group(1)
    port = running.url.rsplit(":", 1)[1]
    env = environment(CODEX_PROXY_PORT=port)
    assert run(BINARIES / "codex-proxy", command, env=env).returncode == 0
    env = environment(CODEX_PROXY_PORT="1")
    done = run(BINARIES / "codex-proxy", command, env=env)
    assert done.returncode == 1 and "http://127.0.0.1:1/health" in done.stderr
    last = text.rstrip().splitlines()
    assert "USER nonroot" in last and last[-1] == 'CMD ["serve"]'


def test_the_container_is_built_of_what_a_build_needs(tmp_path):
    # .dockerignore excludes everything except what it lists.
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*"
    for line in lines[1:]:
        source = ROOT / line.removeprefix("!")
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / source.name)
    env = environment() | {"CARGO_NET_OFFLINE": "true"}
    done = run("cargo", "metadata", "--locked", "--no-deps", "--format-version", "1", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    oldest = re.search(r'^rust-version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE).group(1)
    assert f"FROM rust:{oldest}-" in (ROOT / "Dockerfile").read_text()


def test_compose_asks_for_a_key_and_opens_one_port():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    service = compose["services"]["codex-proxy"]
    assert "CODEX_PROXY_API_KEY:?" in service["environment"]["CODEX_PROXY_API_KEY"]
    assert service["ports"] == ["127.0.0.1:8787:8787"] and service["read_only"] and service["cap_drop"] == ["ALL"]
    assert set(compose["volumes"]) == {volume.split(":")[0] for volume in service["volumes"]}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_name_what_there_is(workflow):
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    for name, job in jobs.items():
        needed = job.get("needs", [])
        assert set([needed] if isinstance(needed, str) else needed) <= set(jobs), name
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), step
            if uses := step.get("uses"):
                assert re.fullmatch(r"[\w.-]+/[\w.-]+@v\d+\.\d+\.\d+", uses), f"{uses} is not pinned"
            for script in re.findall(r"(?<![\w/$.])((?:scripts|contrib|\.ci)/[\w.-]+)", step.get("run", "")):
                assert (ROOT / script).exists(), script


def test_the_release_has_what_the_script_asks_for():
    release = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    targets = {entry["target"] for entry in release["jobs"]["build"]["strategy"]["matrix"]["include"]}
    machines = ("x86_64", "aarch64")
    systems = ("unknown-linux-gnu", "unknown-linux-musl", "apple-darwin")
    assert targets == {f"{machine}-{system}" for machine in machines for system in systems} | {"x86_64-pc-windows-msvc"}
    # The line that the workflow replaces.
    (step,) = [step["run"] for step in release["jobs"]["publish"]["steps"] if "install.sh" in step.get("run", "")]
    command = step.splitlines()[0].split(" >")[0]
    env = environment(GITHUB_SERVER_URL="https://github.example", GITHUB_REPOSITORY="ada/codex-proxy")
    done = run("sh", "-c", command, cwd=ROOT, env=env)
    assert "\nreleases=https://github.example/ada/codex-proxy/releases\n" in done.stdout
