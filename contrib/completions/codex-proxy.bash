# Completes codex-proxy in bash.
_codex_proxy() {
    local IFS=$'\n' words
    words=$("${COMP_WORDS[0]}" completions next -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null) || return
    # Drops the descriptions, which bash cannot show.
    mapfile -t COMPREPLY < <([ -z "$words" ] || cut -f 1 <<<"$words")
}
complete -o default -F _codex_proxy codex-proxy
