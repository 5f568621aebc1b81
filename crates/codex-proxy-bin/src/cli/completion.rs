//! The words that can follow on a command line: for suggestions and for shell completion, all from argh's own
//! information on `args`.

use argh::{ArgsInfo as _, CommandInfoWithArgs, FlagInfo, FlagInfoKind};

use crate::cli::args::Args;
use crate::config::SETTINGS;
use crate::config::nearest;

/// The program's name on the command line.
pub(crate) const PROGRAM: &str = "codex-proxy";

/// The position that words lead to.
struct WordContext {
    /// The commands, from the program on.
    path: Vec<&'static str>,
    command: CommandInfoWithArgs,
    /// The option whose value comes next.
    awaits: Option<&'static FlagInfo<'static>>,
}

impl WordContext {
    fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut context = Self { path: vec![PROGRAM], command: Args::get_args_info(), awaits: None };
        for word in words {
            if context.awaits.take().is_some() {
                continue;
            }
            let flag = context.flags().find(|flag| is_named(flag, word));
            if let Some(flag) = flag {
                context.awaits = matches!(flag.kind, FlagInfoKind::Option { .. }).then_some(flag);
            } else if let Some(at) = context.command.commands.iter().position(|inner| inner.name == word) {
                let inner = context.command.commands.swap_remove(at);
                context.path.push(inner.name);
                context.command = inner.command;
            }
        }
        context
    }

    fn flags(&self) -> impl Iterator<Item = &'static FlagInfo<'static>> + use<> {
        self.command.flags.iter().filter(|flag| !flag.hidden)
    }

    fn words(&self) -> impl Iterator<Item = &'static str> {
        let commands = self.command.commands.iter().map(|inner| inner.name);
        commands.chain(self.flags().map(|flag| flag.long))
    }
}

fn is_named(flag: &FlagInfo<'_>, word: &str) -> bool {
    flag.long == word || flag.short.is_some_and(|short| word.strip_prefix('-') == Some(short.encode_utf8(&mut [0; 4])))
}

/// Returns argh's error message, with a suggestion for a mistyped word. `words` are those after the program's name.
pub(crate) fn mistake(said: &str, words: &[&str]) -> String {
    let said = said.trim_end();
    let unknown = said.strip_prefix("Unrecognized argument: ").and_then(|word| {
        let at = words.iter().position(|given| *given == word)?;
        Some((word, WordContext::of(words[..at].iter().copied())))
    });
    let Some((word, context)) = unknown else {
        let help = WordContext::of(words.iter().copied()).path.join(" ");
        return format!("{said}\nTry {help} --help.");
    };
    let path = context.path.join(" ");
    let is_general = Args::get_args_info().flags.iter().any(|flag| is_named(flag, word));
    if is_general && context.path.len() > 1 {
        return format!("put {word} before the command: {PROGRAM} {word} … {}", context.path[1..].join(" "));
    }
    let kind = if word.starts_with('-') { "an option" } else { "a command" };
    match nearest::name(word, context.words()) {
        Some(meant) => format!("`{word}` is not {kind} of `{path}`; did you mean `{meant}`?\nTry {path} --help."),
        None => format!("`{word}` is not {kind} of `{path}`.\nTry {path} --help."),
    }
}

/// Returns what can complete the last word, each with its description. If there is nothing, the shell may offer files.
pub(crate) fn next(words: &[String]) -> Vec<(String, String)> {
    let (last, before) = words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let context = WordContext::of(before.iter().map(String::as_str));
    let mut found: Vec<(String, String)> = Vec::new();
    if let Some(flag) = context.awaits {
        let setting = SETTINGS.iter().find(|setting| setting.flag == Some(flag.long));
        found.extend(
            setting.iter().flat_map(|setting| setting.choices).map(|choice| ((*choice).to_owned(), String::new())),
        );
    } else if last.starts_with('-') {
        found.extend(context.flags().map(|flag| (flag.long.to_owned(), flag.description.to_owned())));
    } else {
        let commands = context.command.commands.iter();
        found.extend(commands.map(|inner| (inner.name.to_owned(), inner.command.description.to_owned())));
    }
    found.retain(|(word, _)| word.starts_with(last));
    found
}

#[cfg(test)]
mod tests {
    use argh::FromArgs as _;

    use super::*;

    fn error_for(words: &[&str]) -> String {
        let exit = Args::from_args(&[PROGRAM], words).unwrap_err();
        assert!(exit.status.is_err(), "{words:?}");
        mistake(&exit.output, words)
    }

    #[test]
    fn mistyped_words_get_a_suggestion() {
        for (words, says) in [
            (&["sreve"][..], "`serve`"),
            (&["serve", "--prot", "1"], "`--port`"),
            (&["service", "instal"], "`install`"),
            (&["--config", "x", "serve", "--smulate"], "`--simulate`"),
            (&["serve", "-x"], "codex-proxy serve --help"),
            (&["serve", "--config", "x"], "codex-proxy --config … serve"),
            (&["serve", "--port"], "codex-proxy serve --help"),
            (&[], "codex-proxy --help"),
        ] {
            let error = error_for(words);
            assert!(error.contains(says), "{words:?}: {error}");
        }
    }

    #[test]
    fn completion_follows_the_commands() {
        let found = |words: &[&str]| -> Vec<String> {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            next(&words).into_iter().map(|(word, _)| word).collect()
        };
        assert_eq!(found(&["ser"]), ["serve", "service"]);
        assert_eq!(found(&["service", "st"]), ["status"]);
        assert_eq!(found(&["service", "status", "--o"]), Vec::<String>::new());
        assert_eq!(found(&["status", "--o"]), ["--offline"]);
        assert_eq!(found(&["serve", "--emulate", "c"]), ["chrome", "codex"]);
        assert_eq!(found(&["serve", "-p", "80"]), Vec::<String>::new());
        // A value is not a command, even if it has the name of one.
        assert_eq!(found(&["login", "--workspace", "status", "--dev"]), ["--device"]);
        assert_eq!(found(&["completions", ""]), ["bash", "zsh", "fish", "next"]);
        assert!(found(&[]).contains(&"login".to_owned()) && found(&["-"]).contains(&"--config".to_owned()));
    }
}
