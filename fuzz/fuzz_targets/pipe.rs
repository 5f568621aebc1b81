//! Both pipes, on arbitrary bytes: the same output however they are split, and a finish only after a terminal event.
#![no_main]

use codex_translate::{ChatPipe, Error, Flow, Identity, ReplyPlan, ResponsesPipe};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (bytes, cuts) = input;
    let plan = || ReplyPlan { stream: true, include_usage: true, ..ReplyPlan::new("gpt-5.1") };
    let identity = || Identity { id: "chatcmpl-1".to_owned(), created: 1 };
    let chat = |cuts: &[u8]| {
        let mut pipe = ChatPipe::new(plan(), identity());
        run(&bytes, cuts, |piece, out| pipe.feed(piece, out)).and_then(|mut out| {
            pipe.finish(&mut out)?;
            Ok(out)
        })
    };
    let responses = |cuts: &[u8]| {
        let mut pipe = ResponsesPipe::new(plan(), identity());
        run(&bytes, cuts, |piece, out| pipe.feed(piece, out)).and_then(|mut out| {
            pipe.finish(&mut out)?;
            Ok(out)
        })
    };
    let whole = chat(&[]);
    assert_eq!(whole, chat(&cuts));
    if let Ok(out) = whole {
        let text = String::from_utf8(out).expect("chunks are UTF-8");
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
        assert_eq!(text.matches("\"finish_reason\":\"").count(), 1, "{text}");
    }
    assert_eq!(responses(&[]), responses(&cuts));
});

fn run(
    mut bytes: &[u8],
    cuts: &[u8],
    mut feed: impl FnMut(&[u8], &mut Vec<u8>) -> Result<Flow, Error>,
) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let mut cuts = cuts.iter().map(|cut| usize::from(*cut));
    while !bytes.is_empty() {
        let cut = cuts.next().unwrap_or(bytes.len()).clamp(1, bytes.len());
        let (piece, rest) = bytes.split_at(cut);
        bytes = rest;
        if feed(piece, &mut out)? == Flow::Done {
            break;
        }
    }
    Ok(out)
}
