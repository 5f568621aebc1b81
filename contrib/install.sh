#!/bin/sh
# Installs a release of codex-proxy for Linux or macOS:
#
#   sh install.sh [--to DIRECTORY] [--version VERSION]
#
# The program goes to ~/.local/bin, the manual page and completions to ~/.local/share; nothing else is changed. The archive
# is verified with the release's SHA256SUMS before it is used.
#
# CODEX_PROXY_RELEASES is the URL of the releases, such as https://github.com/OWNER/codex-proxy/releases. The copy of this
# script in a release has it built in.
set -eu

# Filled in by the release workflow.
releases=''

main() {
    to=$HOME/.local/bin version=latest
    while [ $# -gt 0 ]; do
        case $1 in
        --to) to=${2:?--to needs a directory} && shift 2 ;;
        --version) version=${2:?--version needs a version} && shift 2 ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 64 ;;
        esac
    done
    releases=${CODEX_PROXY_RELEASES:-$releases}
    [ -n "$releases" ] || fail "set CODEX_PROXY_RELEASES to the URL of the releases, or build from source: make install"
    case $version in
    latest) base=$releases/latest/download ;;
    *) base=$releases/download/v${version#v} ;;
    esac

    name=codex-proxy-$(target)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
    say "downloading $base/$name.tar.gz"
    fetch "$base/SHA256SUMS" "$work/SHA256SUMS"
    fetch "$base/$name.tar.gz" "$work/$name.tar.gz"
    check "$work" "$name.tar.gz"
    tar -C "$work" -xzf "$work/$name.tar.gz"
    put "$work/$name" "$to"

    say "installed $("$to/codex-proxy" version) in $to"
    case :$PATH: in
    *":$to:"*) ;;
    *) say "add this directory to your PATH: export PATH=\"$to:\$PATH\"" ;;
    esac
    say "next: codex-proxy login, then codex-proxy serve or codex-proxy service install"
}

usage() {
    echo "usage: sh install.sh [--to DIRECTORY] [--version VERSION]"
}

# Prints the release target of this machine.
target() {
    machine=$(uname -m)
    case $machine in
    x86_64 | amd64) machine=x86_64 ;;
    aarch64 | arm64) machine=aarch64 ;;
    *) fail "no release for $machine; build from source: make install" ;;
    esac
    case $(uname -s) in
    Darwin) echo "$machine-apple-darwin" ;;
    Linux)
        # musl's loader prints its name and exits with 1.
        if (ldd --version 2>&1 || true) | grep -qi musl; then
            echo "$machine-unknown-linux-musl"
        else
            echo "$machine-unknown-linux-gnu"
        fi
        ;;
    *) fail "no release for $(uname -s); on Windows, unpack the release's .zip file" ;;
    esac
}

fetch() {
    if has curl; then
        curl --fail --silent --show-error --location --output "$2" "$1" || fail "cannot fetch $1"
    elif has wget; then
        wget -q -O "$2" "$1" || fail "cannot fetch $1"
    else
        fail "curl or wget is required"
    fi
}

# Verifies the file $2 in directory $1 against its line in SHA256SUMS.
check() {
    wanted=$(sed -n "s/^\([0-9a-f]\{64\}\)  *\**$2\$/\1/p" "$1/SHA256SUMS")
    [ -n "$wanted" ] || fail "SHA256SUMS does not list $2; nothing was installed"
    if has sha256sum; then
        found=$(sha256sum "$1/$2" | cut -d' ' -f1)
    elif has shasum; then
        found=$(shasum -a 256 "$1/$2" | cut -d' ' -f1)
    else
        fail "sha256sum or shasum is required"
    fi
    [ "$found" = "$wanted" ] || fail "the checksum of $2 does not match SHA256SUMS; nothing was installed"
}

# Installs the files unpacked in $1, the program into $2. Moving it into place leaves a running copy alone.
put() {
    share=${XDG_DATA_HOME:-$HOME/.local/share}
    mkdir -p "$2" "$share/man/man1" "$share/bash-completion/completions" "$share/zsh/site-functions" \
        "$share/fish/vendor_completions.d"
    cp "$1/codex-proxy" "$2/.codex-proxy.new"
    chmod 755 "$2/.codex-proxy.new"
    mv -f "$2/.codex-proxy.new" "$2/codex-proxy"
    cp "$1/contrib/codex-proxy.1" "$share/man/man1/"
    cp "$1/contrib/completions/codex-proxy.bash" "$share/bash-completion/completions/codex-proxy"
    cp "$1/contrib/completions/_codex-proxy" "$share/zsh/site-functions/"
    cp "$1/contrib/completions/codex-proxy.fish" "$share/fish/vendor_completions.d/"
}

has() {
    command -v "$1" >/dev/null 2>&1
}

say() {
    echo "install.sh: $*"
}

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

main "$@"
