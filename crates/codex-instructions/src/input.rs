//! The inputs of the cases.

const DELTAS: usize = 2_000;
const REQUEST_BYTES: usize = 1024 * 1024;

const ITEM: &str = "msg_0b51be2101d9d6220168d469589190819b945ffe7a83ece6cf";

/// Returns 2,000 text deltas of about 300 bytes each, every tenth with an escape.
pub(crate) fn text_reply() -> Vec<u8> {
    let piece = |number: usize| if number.is_multiple_of(10) { "\\n\\\"so\\\"" } else { " and so on" };
    let item = format!(r#"{{"id":"{ITEM}","type":"message","role":"assistant","status":"in_progress","content":[]}}"#);
    let part = r#"{"type":"output_text","annotations":[],"logprobs":[],"text":""}"#;
    let mut reply = opening(&item);
    reply.push_str(&event(
        "response.content_part.added",
        &format!(r#""sequence_number":3,"item_id":"{ITEM}","output_index":0,"content_index":0,"part":{part}"#),
    ));
    for number in 0..DELTAS {
        let (sequence, text) = (number + 4, piece(number));
        reply.push_str(&event(
            "response.output_text.delta",
            &format!(
                r#""sequence_number":{sequence},"item_id":"{ITEM}","output_index":0,"content_index":0,"delta":"{text}","logprobs":[],"obfuscation":"1irxx2aXDjHEn""#
            ),
        ));
    }
    let text = (0..DELTAS).map(piece).collect::<String>();
    let done = item.replace("in_progress", "completed").replace(
        "\"content\":[]",
        &format!(r#""content":[{{"type":"output_text","annotations":[],"logprobs":[],"text":"{text}"}}]"#),
    );
    reply.push_str(&ending(&done));
    reply.into_bytes()
}

/// The events of the same reply, a line each.
pub(crate) fn text_messages() -> Vec<u8> {
    let reply = text_reply();
    let lines = reply.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data: "));
    lines.collect::<Vec<_>>().join(&b'\n')
}

/// Returns a call in 2,000 deltas.
pub(crate) fn call_reply() -> Vec<u8> {
    let piece = "x".repeat(100);
    let item = r#"{"id":"fc_1","type":"function_call","call_id":"call_1","name":"write","arguments":""}"#;
    let mut reply = opening(item);
    for number in 0..DELTAS {
        let sequence = number + 4;
        reply.push_str(&event(
            "response.function_call_arguments.delta",
            &format!(
                r#""sequence_number":{sequence},"item_id":"fc_1","output_index":0,"delta":"{piece}","obfuscation":"x""#
            ),
        ));
    }
    let done = item.replace("\"arguments\":\"\"", &format!("\"arguments\":\"{}\"", piece.repeat(DELTAS)));
    reply.push_str(&ending(&done));
    reply.into_bytes()
}

/// Returns a conversation of 1 MiB: code and prose, with the usual number of escapes.
pub(crate) fn request() -> Vec<u8> {
    let line =
        r#"    let total = items.iter().map(|item| item.price * \"1.19\").sum(); // Mehrwertsteuer über alles\n"#;
    let text = line.repeat(10);
    let message = |number: usize| {
        let role = if number.is_multiple_of(2) { "user" } else { "assistant" };
        format!(r#"{{"role":"{role}","content":"{text}"}}"#)
    };
    let messages = (0..REQUEST_BYTES / text.len()).map(message).collect::<Vec<_>>().join(",");
    format!(r#"{{"model":"gpt-5.5","stream":true,"messages":[{messages}]}}"#).into_bytes()
}

fn opening(item: &str) -> String {
    let response = r#""response":{"id":"resp_1","status":"in_progress","model":"gpt-5.5","output":[]}"#;
    let created = event("response.created", &format!(r#""sequence_number":0,{response}"#));
    let added = event("response.output_item.added", &format!(r#""sequence_number":2,"output_index":0,"item":{item}"#));
    created + &added
}

fn ending(item: &str) -> String {
    let done = event("response.output_item.done", &format!(r#""sequence_number":9000,"output_index":0,"item":{item}"#));
    let usage = r#"{"input_tokens":1,"output_tokens":2,"total_tokens":3}"#;
    let response =
        format!(r#""response":{{"id":"resp_1","status":"completed","model":"gpt-5.5","output":[],"usage":{usage}}}"#);
    done + &event("response.completed", &format!(r#""sequence_number":9001,{response}"#))
}

fn event(kind: &str, members: &str) -> String {
    format!("event: {kind}\ndata: {{\"type\":\"{kind}\",{members}}}\n\n")
}
