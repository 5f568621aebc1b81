//! `codex-proxy completions`.
//!
//! The scripts are short and the same for every version: they ask the program itself for completions.

use std::io::Write;
use std::process::ExitCode;

use crate::cli::args::{CompletionsArgs, CompletionsCommand};
use crate::cli::completion;
use crate::commands::CommandError;

const BASH: &str = r#"# Completes codex-proxy in bash.
_codex_proxy() {
    local IFS=$'\n' words
    words=$("${COMP_WORDS[0]}" completions next -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null) || return
    # Drops the descriptions, which bash cannot show.
    mapfile -t COMPREPLY < <([ -z "$words" ] || cut -f 1 <<<"$words")
}
complete -o default -F _codex_proxy codex-proxy
"#;

const ZSH: &str = r#"#compdef codex-proxy
# Completes codex-proxy in zsh.
_codex_proxy() {
    local -a found
    local line
    # `word:description`, as _describe reads it.
    for line in ${(f)"$("${words[1]}" completions next -- "${(@)words[2,CURRENT]}" 2>/dev/null)"}; do
        found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    if (( $#found )); then
        _describe 'codex-proxy' found
    else
        _files
    fi
}
if [ "$funcstack[1]" = "_codex-proxy" ]; then
    _codex_proxy "$@"
else
    compdef _codex_proxy codex-proxy
fi
"#;

const FISH: &str = "\
# Completes codex-proxy in fish.
function __codex_proxy_next
    set -l words (commandline --tokenize --cut-at-cursor --current-process) (commandline --current-token --cut-at-cursor)
    command $words[1] completions next -- $words[2..] 2>/dev/null
end
# Completes files only if there is nothing else.
complete --command codex-proxy --condition 'test -n \"$(__codex_proxy_next)\"' --no-files --arguments '(__codex_proxy_next)'
";

/// Prints the script for a shell, or the completions of a command line.
///
/// # Errors
/// The output could not be written.
pub(crate) fn run(args: &CompletionsArgs, out: &mut impl Write) -> Result<ExitCode, CommandError> {
    match &args.command {
        CompletionsCommand::Bash(_) => out.write_all(BASH.as_bytes())?,
        CompletionsCommand::Zsh(_) => out.write_all(ZSH.as_bytes())?,
        CompletionsCommand::Fish(_) => out.write_all(FISH.as_bytes())?,
        CompletionsCommand::Next(args) => {
            for (word, description) in completion::next(&args.words) {
                writeln!(out, "{word}\t{description}")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
