# Completes codex-proxy in fish.
function __codex_proxy_next
    set -l words (commandline --tokenize --cut-at-cursor --current-process) (commandline --current-token --cut-at-cursor)
    command $words[1] completions next -- $words[2..] 2>/dev/null
end
# Completes files only if there is nothing else.
complete --command codex-proxy --condition 'test -n "$(__codex_proxy_next)"' --no-files --arguments '(__codex_proxy_next)'
