//! Pipes a Responses event stream from standard input to standard output as Chat Completions chunks.
//!
//! ```text
//! cargo run -p examples --bin translate_stdin < crates/codex-translate/tests/fixtures/text/events.sse
//! ```

use std::error::Error;
use std::io::{self, Read as _, Write as _};

use codex_translate::{ChatPipe, Chunk, EventReader, Flow, Pipe as _, ReplyId, ReplyPlan};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut stdin, mut stdout) = (io::stdin().lock(), io::stdout().lock());
    let reply_id = ReplyId { id: "chatcmpl-example".to_owned(), created: 0 };
    let plan = ReplyPlan { stream: true, include_usage: true, ..ReplyPlan::new("gpt-5.1") };
    let mut reader = EventReader::new();
    let mut pipe = ChatPipe::new(&plan, &reply_id);
    let (mut input, mut out) = (vec![0; 16 * 1024], Vec::new());
    loop {
        let read = stdin.read(&mut input)?;
        let flow = pipe.feed(&mut reader, &Chunk::Bytes(&input[..read]), &mut out);
        stdout.write_all(&out)?;
        out.clear();
        // `finish` reports the end of the input without a terminal event as an error.
        if flow? == Flow::Done || read == 0 {
            break;
        }
    }
    let summary = pipe.finish(&mut out)?;
    pipe.end(summary.usage.as_ref(), &mut out);
    stdout.write_all(&out)?;
    writeln!(io::stderr(), "finished: {}", summary.finish)?;
    Ok(())
}
