//! Shows a reply in a terminal as it arrives: text, reasoning, web searches, tool calls, and how it ended. It reads the
//! backend's events from standard input and uses only codex-translate, without its tokenizer.
//!
//! ```text
//! cargo run -p examples --bin tui_stream < crates/codex-translate/tests/fixtures/web_search/events.sse
//! ```

use std::io::{self, Read, Write};
use std::process::ExitCode;

use codex_translate::chat::{Delta, DeltaSink, ToolCall};
use codex_translate::responses::{EventParser, WebSearch, WebSearchAction, WebSearchStatus};
use codex_translate::{ChatStream, Chunk, Error, EventReader, Flow, ReplyPlan, Summary};

/// Shows deltas, and gathers the tool calls.
struct Terminal<W> {
    out: W,
    is_reasoning: bool,
    calls: Vec<ToolCall>,
}

impl<W: Write> DeltaSink for Terminal<W> {
    fn delta(&mut self, delta: Delta<'_>) {
        self.calls.delta(delta);
        if let Delta::Content(text) | Delta::Refusal(text) = delta {
            self.show(false, text);
        } else if let Delta::Reasoning { text, .. } = delta {
            self.show(true, text);
        } else if let Delta::Citation(citation) = delta {
            self.show(false, format_args!(" [{}]", citation.url()));
        }
    }
}

impl<W: Write> Terminal<W> {
    /// Shows more of the reasoning, dimmed, or of the answer. A terminal that is gone shows nothing.
    fn show(&mut self, is_reasoning: bool, text: impl std::fmt::Display) {
        if std::mem::replace(&mut self.is_reasoning, is_reasoning) != is_reasoning {
            let _ = write!(self.out, "{}", if is_reasoning { "\x1b[2m" } else { "\x1b[0m\n" });
        }
        let _ = write!(self.out, "{text}").and_then(|()| self.out.flush());
    }

    fn search(&mut self, search: &WebSearch<'_>) {
        match (&search.status, &search.action) {
            (WebSearchStatus::Searching, _) => self.show(false, "(searching the web ...)\n"),
            (_, Some(WebSearchAction::Search { query, .. })) => {
                self.show(false, format_args!("(searched the web for \"{query}\")\n"));
            }
            (_, Some(WebSearchAction::OpenPage { url })) => self.show(false, format_args!("(read {url})\n")),
            _ => {}
        }
    }
}

/// Shows the events of `input` until the reply ends.
fn show(mut input: impl Read, terminal: &mut Terminal<impl Write>) -> Result<Summary, Error> {
    let (mut reader, mut parser) = (EventReader::new(), EventParser::default());
    let mut stream = ChatStream::new(&ReplyPlan::new("gpt-5.5"));
    let mut buffer = [0; 1024];
    loop {
        // An input that cannot be read ends here, and `finish` reports a reply that is not complete.
        let read = input.read(&mut buffer).unwrap_or(0);
        let flow = reader.read(&Chunk::Bytes(&buffer[..read]), |event| {
            let event = parser.parse(event)?;
            if let Some(search) = event.web_search() {
                terminal.search(&search);
            }
            stream.push_parsed(&event, terminal)
        })?;
        if flow == Flow::Done || read == 0 {
            return stream.finish();
        }
    }
}

fn main() -> ExitCode {
    let mut terminal = Terminal { out: io::stdout().lock(), is_reasoning: false, calls: Vec::new() };
    let ended = show(io::stdin().lock(), &mut terminal);
    for call in std::mem::take(&mut terminal.calls) {
        terminal.show(false, format_args!("\n-> {}({})", call.name, call.arguments));
    }
    match ended {
        Ok(Summary { finish, .. }) => {
            terminal.show(false, format_args!("\n-- {finish}\n"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let code = error.code().unwrap_or("-");
            terminal.show(false, format_args!("\n-- error: {error} ({code})\n"));
            ExitCode::FAILURE
        }
    }
}
