//! Images, files and other elements in the forms of several APIs, in messages and in the outputs of tools.

use codex_translate::{Error, Options, Translated, chat, normalise, responses, to_responses};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::backend;
use crate::chat_request::{notices, profile, sent};

/// The beginning of every PNG.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUg==";
const PDF: &str = "JVBERi0xLjQ=";
const BYTES: &str = "AAECAwQF";

fn image(url: impl Into<String>) -> Value {
    json!({"type": "input_image", "image_url": url.into()})
}

fn png() -> Value {
    image(format!("data:image/png;base64,{PNG}"))
}

fn file(name: &str, media_type: &str, data: &str) -> Value {
    json!({"type": "input_file", "filename": name, "file_data": format!("data:{media_type};base64,{data}")})
}

fn text(text: &str) -> Value {
    json!({"type": "input_text", "text": text})
}

/// Images and files in each form, and what the backend gets.
fn forms() -> Vec<(Value, Value)> {
    let data_url = format!("data:image/png;base64,{PNG}");
    let webp = "UklGRiIAAABXRUJQVlA4";
    vec![
        // OpenAI, in both dialects, and with bare base64 instead of the URL.
        (json!({"type": "image_url", "image_url": {"url": data_url}}), png()),
        (json!({"type": "image_url", "image_url": data_url}), png()),
        (json!({"type": "image_url", "image_url": {"url": PNG}}), png()),
        (json!({"image_url": {"url": data_url}}), png()),
        (json!({"type": "input_image", "image_url": {"url": data_url}}), png()),
        (
            json!({"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}),
            file("a.pdf", "application/pdf", PDF),
        ),
        (json!({"type": "input_file", "file_id": "f"}), json!({"type": "input_file", "file_id": "f"})),
        // LangChain, in both of its versions.
        (json!({"type": "file", "source_type": "text", "text": "t", "mime_type": "text/plain"}), text("t")),
        (json!({"type": "text-plain", "text": "t", "mime_type": "text/plain", "id": "lc_1"}), text("t")),
        (
            json!({"type": "text-plain", "base64": "dA==", "mime_type": "text/plain"}),
            file("file.txt", "text/plain", "dA=="),
        ),
        (json!({"type": "file", "source_type": "id", "id": "f"}), json!({"type": "input_file", "file_id": "f"})),
        (json!({"type": "image", "source_type": "id", "id": "f"}), json!({"type": "input_image", "file_id": "f"})),
        // MCP.
        (json!({"type": "image", "data": PNG, "mimeType": "image/png", "annotations": {"priority": 1}}), png()),
        (json!({"type": "image", "data": PNG}), png()),
        (json!({"type": "image", "data": webp}), image(format!("data:image/webp;base64,{webp}"))),
        (json!({"type": "image", "data": BYTES}), image(format!("data:image/png;base64,{BYTES}"))),
        (
            json!({"type": "image", "data": BYTES, "mimeType": "IMAGE/JPG; q=1"}),
            image(format!("data:image/jpeg;base64,{BYTES}")),
        ),
        (json!({"type": "image", "data": "iVBORw0KGgoAAAAN\nSUhEUg==\n", "mimeType": "image/png"}), png()),
        (
            json!({"type": "resource", "resource": {"uri": "file:///a/b.png", "mimeType": "image/png", "blob": PNG}}),
            png(),
        ),
        (
            json!({"type": "resource", "resource": {"uri": "file:///a/b.pdf", "blob": PDF}}),
            file("b.pdf", "application/pdf", PDF),
        ),
        (
            json!({"uri": "x:/b.bin", "mimeType": "application/zip", "blob": BYTES}),
            file("b.bin", "application/zip", BYTES),
        ),
        // Anthropic.
        (json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}), png()),
        (json!({"type": "image", "source": {"type": "url", "url": "https://a/b.png"}}), image("https://a/b.png")),
        (
            json!({"type": "image", "source": {"type": "file", "file_id": "f"}}),
            json!({"type": "input_image", "file_id": "f"}),
        ),
        (
            json!({"type": "document", "title": "t.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}),
            file("t.pdf", "application/pdf", PDF),
        ),
        (
            json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}),
            file("file.pdf", "application/pdf", PDF),
        ),
        (
            json!({"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}}),
            json!({"type": "input_file", "file_url": "https://a/b.pdf"}),
        ),
        (json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}}), text("hi")),
        (
            json!({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "hi"}]}}),
            text("hi"),
        ),
        // The AI SDK and LangChain.
        (json!({"type": "media", "data": PNG, "mediaType": "image/png"}), png()),
        (
            json!({"type": "media", "data": PDF, "mediaType": "application/pdf"}),
            file("file.pdf", "application/pdf", PDF),
        ),
        (json!({"type": "image-data", "data": PNG, "mediaType": "image/png"}), png()),
        (json!({"type": "image-url", "url": "https://a/b"}), image("https://a/b")),
        (
            json!({"type": "file-data", "data": PDF, "mediaType": "application/pdf", "filename": "a.pdf"}),
            file("a.pdf", "application/pdf", PDF),
        ),
        (json!({"type": "file-data", "data": PNG, "mediaType": "image/png"}), png()),
        (json!({"type": "file-url", "url": "https://a/b"}), json!({"type": "input_file", "file_url": "https://a/b"})),
        (json!({"type": "file-id", "fileId": "f"}), json!({"type": "input_file", "file_id": "f"})),
        (json!({"type": "image", "image": data_url}), png()),
        (json!({"type": "image", "image": PNG, "mediaType": "image/*"}), png()),
        (json!({"type": "file", "url": data_url, "mediaType": "image/png"}), png()),
        (json!({"type": "image", "source_type": "base64", "data": PNG, "mime_type": "image/png"}), png()),
        (json!({"type": "image", "source_type": "url", "url": "https://a/b"}), image("https://a/b")),
        (
            json!({"type": "file", "base64": PDF, "mime_type": "application/pdf"}),
            file("file.pdf", "application/pdf", PDF),
        ),
        // Gemini.
        (json!({"inlineData": {"mimeType": "image/png", "data": PNG}}), png()),
        (json!({"inline_data": {"mime_type": "image/png", "data": PNG}}), png()),
        (
            json!({"fileData": {"mimeType": "application/pdf", "fileUri": "https://a/b"}}),
            json!({"type": "input_file", "file_url": "https://a/b"}),
        ),
    ]
}

/// Translates an output of a tool on both paths, for each kind of tool.
#[track_caller]
fn outputs(output: &Value) -> Vec<(Value, Vec<String>)> {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let chat = [
        json!([{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": output}]),
        json!([{"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}, {"role": "function", "name": "f", "content": output}]),
    ];
    let own = [("function_call", "arguments"), ("custom_tool_call", "input")].map(|(kind, input)| {
        json!([{"type": kind, "call_id": "c", "name": "f", input: "{}"}, {"type": format!("{kind}_output"), "call_id": "c", "output": output}])
    });
    let mut all = Vec::new();
    for messages in chat {
        let request = chat::ChatRequest::from_json(json!({"model": "m", "messages": messages}).to_string().as_bytes());
        all.push(to_responses(request.unwrap(), &profile(), &Options::default()).unwrap());
    }
    for input in own {
        let request =
            responses::ResponsesRequest::from_json(json!({"model": "m", "input": input}).to_string().as_bytes());
        all.push(normalise(request.unwrap(), &profile(), &Options::default()).unwrap());
    }
    all.iter().map(|translated| (output_of(translated), notices(translated))).collect()
}

fn output_of(translated: &Translated) -> Value {
    let sent = sent(translated);
    backend::accepts(&sent);
    let item =
        sent["input"].as_array().unwrap().iter().find(|item| item["type"].as_str().unwrap().ends_with("_output"));
    item.unwrap()["output"].clone()
}

#[track_caller]
fn check(output: Value, expected: Value) -> Vec<String> {
    let all = outputs(&output);
    for (sent, notices) in &all {
        assert_eq!(*sent, expected, "{output} {notices:?}");
        assert_eq!(notices.len(), all[0].1.len(), "{notices:?}");
    }
    all[0].1.clone()
}

fn message(role: &str, content: &Value) -> Result<Translated, Error> {
    let body =
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}, {"role": role, "content": content}]});
    to_responses(chat::ChatRequest::from_json(body.to_string().as_bytes())?, &profile(), &Options::default())
}

#[test]
fn known_parts_keep_their_kind_beside_unknown_ones() {
    for (form, expected) in forms() {
        check(json!([form]), json!([expected]));
        let link = json!({"type": "resource_link", "uri": "file:///a", "name": "a"});
        let notices = check(
            json!([{"type": "text", "text": "t"}, form, null, "s", link]),
            json!([text("t"), expected, text("s"), text(&link.to_string())]),
        );
        assert!(notices.contains(&"messages[].content[] repaired".to_owned()), "{notices:?}");
    }
}

#[test]
fn messages_take_the_same_forms() {
    for (form, expected) in forms() {
        for role in ["user", "developer", "assistant"] {
            let sent = sent(&message(role, &json!([form])).unwrap());
            backend::accepts(&sent);
            let content = &sent["input"].as_array().unwrap().last().unwrap()["content"];
            let is_text = expected["type"] == "input_text";
            assert!(is_text && role == "assistant" || *content == json!([expected]), "{form} {content}");
        }
        let body = json!({"model": "m", "input": [{"role": "user", "content": [form]}]});
        let request = responses::ResponsesRequest::from_json(body.to_string().as_bytes()).unwrap();
        let translated = normalise(request, &profile(), &Options::default()).unwrap();
        assert_eq!(sent(&translated)["input"][0]["content"], json!([expected]), "{form}");
    }
}

#[test]
fn unknown_parts_of_a_message_are_rejected_by_path() {
    for part in [
        json!({"type": "resource_link", "uri": "file:///a"}),
        json!({"type": "tool_result", "content": []}),
        json!({"type": "audio", "data": BYTES, "mimeType": "audio/wav"}),
        json!({"inlineData": {"mimeType": "video/mp4", "data": BYTES}}),
        json!({"type": "video", "url": "https://a/b.mp4"}),
        json!({"type": "video_url", "video_url": {"url": "https://a/b.mp4"}}),
        json!({"type": "input_audio", "input_audio": {"data": BYTES, "format": "wav"}}),
    ] {
        let error = message("user", &json!(["x", part])).unwrap_err();
        assert_eq!(
            (error.param(), error.code()),
            (Some("messages[1].content[1]"), Some("unsupported_content")),
            "{part}"
        );
    }
    for (part, param) in [
        (json!({"type": "image"}), "messages[1].content[0].data"),
        (json!({"type": "image", "data": 5}), "messages[1].content[0].data"),
        (json!({"type": "image", "source": {"type": "base64", "data": 5}}), "messages[1].content[0].source.data"),
        (json!({"type": "image", "data": ""}), "messages[1].content[0].data"),
    ] {
        assert_eq!(message("user", &json!([part])).unwrap_err().param(), Some(param), "{part}");
    }
}

#[test]
fn results_that_hold_parts_are_unwrapped() {
    let picture = json!({"type": "image", "data": PNG, "mimeType": "image/png"});
    let said = json!({"type": "text", "text": "t"});
    let mixed = json!([said, picture]);
    let expected = json!([text("t"), png()]);
    for wrapped in [
        json!({"content": mixed}),
        json!({"content": mixed, "isError": false, "structuredContent": null, "_meta": {}}),
        json!([{"type": "tool_result", "content": mixed}]),
        json!([{"type": "tool_result", "content": [{"type": "search_result", "content": mixed}]}]),
        json!({"type": "content", "value": mixed}),
        json!([{"role": "user", "parts": [{"text": "t"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}], "role": ""}]),
        json!({"contents": mixed}),
    ] {
        check(wrapped, expected.clone());
    }
    check(picture.clone(), json!([png()]));
    check(
        json!({"content": [picture], "isError": true, "structuredContent": {"a": 1}}),
        json!([png(), text(r#"{"isError":true,"structuredContent":{"a":1}}"#)]),
    );
    check(json!([{"type": "tool_result", "content": "t"}, "u"]), json!([text("t"), text("u")]));
    check(
        json!([{"type": "document", "title": "T", "context": "C", "source": {"type": "text", "data": "hi"}}]),
        json!([text("C"), text("Contents of T:"), text("hi")]),
    );
    check(
        json!([{"type": "resource", "resource": {"uri": "file:///a", "text": "hi"}}]),
        json!([text("Contents of file:///a:"), text("hi")]),
    );
    // Without an image, the result is text as the tool wrote it.
    let plain = json!({"content": [said], "isError": true});
    check(plain.clone(), json!(plain.to_string()));
}

#[test]
fn data_of_a_tool_is_text() {
    check(json!([]), json!(""));
    for data in
        [json!([1, 2]), json!([null]), json!([{"id": 1}, {"content": ["a"]}]), json!([[1]]), json!({"a": 1}), json!(5)]
    {
        assert_eq!(check(data.clone(), json!(data.to_string())), ["messages[].content repaired"]);
    }
    // Objects that only look like parts.
    for data in [
        json!({"type": "file", "name": "a.txt", "size": 5, "url": "https://a/b"}),
        json!({"type": "image", "title": "x", "url": "https://a/b"}),
        json!({"type": "text", "value": "x"}),
        json!({"type": "document", "id": 1}),
        json!({"type": "audio", "title": "x"}),
        json!({"type": "Feature", "geometry": {}}),
        json!({"type": 5}),
        json!([5]),
        json!(true),
    ] {
        check(json!(["s", data]), json!([text("s"), text(&data.to_string())]));
    }
    for (sound, name) in [
        (json!({"type": "audio", "data": BYTES, "mimeType": "audio/wav"}), "audio/wav"),
        (json!({"type": "file", "data": format!("data:audio/wav;base64,{BYTES}")}), "audio/wav"),
        (json!({"type": "video", "base64": BYTES}), "video"),
        (json!({"type": "video_url", "video_url": {"url": "https://a/b.mp4"}}), "video_url"),
    ] {
        let said = format!("[{name} that cannot be shown]");
        let notices = check(json!(["s", sound]), json!([text("s"), text(&said)]));
        assert!(notices.contains(&"messages[].content[] dropped".to_owned()), "{notices:?}");
    }
    // A part whose type can mean nothing else is an error of the client.
    let body = json!({"model": "m", "input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image"}]}]});
    let error = responses::ResponsesRequest::from_json(body.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.param(), Some("input[0].output[0].image_url"));
}

#[test]
fn an_unknown_element_is_named() {
    let body = json!({"model": "m", "messages": [{"role": "tool", "tool_call_id": "c", "content": ["s", {"type": "hologram"}]}]});
    let request = chat::ChatRequest::from_json(body.to_string().as_bytes()).unwrap();
    let translated = to_responses(request, &profile(), &Options::default()).unwrap();
    assert!(translated.notices.iter().any(|notice| notice.detail.contains("`hologram`")), "{:?}", translated.notices);
}

#[test]
fn a_large_output_takes_linear_time() {
    let picture = json!({"type": "image", "data": PNG, "mimeType": "image/png"});
    let many: Vec<_> = (0..20_000)
        .map(|_| json!([picture, {"type": "x"}]))
        .flat_map(|pair| pair.as_array().unwrap().clone())
        .collect();
    let output = outputs(&json!(many)).remove(0).0;
    assert_eq!(output.as_array().unwrap().len(), 40_000);
    let mut deep = picture;
    for _ in 0..100 {
        deep = json!({"type": "tool_result", "content": [deep]});
    }
    outputs(&json!([deep]));
}

/// Generates what a tool may return around an image, and how many images are in it.
fn nested() -> impl Strategy<Value = (Value, usize)> {
    let picture = prop::sample::select(forms()).prop_filter("of the image", |(form, _)| form.to_string().contains(PNG));
    let leaf = prop_oneof![
        3 => picture.prop_map(|(form, _)| (form, 1)),
        1 => Just((json!({"type": "text", "text": "t"}), 0)),
        1 => Just((json!({"type": "unknown", "x": [1]}), 0)),
        1 => Just((json!({"id": 5}), 0)),
        1 => Just((json!("s"), 0)),
        1 => Just((Value::Null, 0)),
    ];
    leaf.prop_recursive(2, 16, 5, |inner| {
        (prop::collection::vec(inner, 1..5), 0..5).prop_map(|(elements, form)| {
            let pictures = elements.iter().map(|(_, pictures)| pictures).sum();
            let list: Vec<_> = elements.into_iter().map(|(element, _)| element).collect();
            let value = match form {
                0 => json!({"type": "tool_result", "tool_use_id": "t", "content": list}),
                1 => json!({"content": list, "isError": true}),
                2 => json!({"type": "content", "value": list}),
                3 => json!({"type": "search_result", "source": "s", "title": "t", "content": list}),
                _ => json!({"parts": list}),
            };
            (value, pictures)
        })
    })
}

proptest! {
    #[test]
    fn no_image_is_sent_as_text(elements in prop::collection::vec(nested(), 1..5), listed in any::<bool>()) {
        let pictures: usize = elements.iter().map(|(_, pictures)| pictures).sum();
        let list: Vec<_> = elements.into_iter().map(|(element, _)| element).collect();
        let output = if listed { json!(list) } else { json!({"content": list}) };
        for (sent, _) in outputs(&output) {
            let parts = sent.as_array().cloned().unwrap_or_default();
            prop_assert_eq!(parts.iter().filter(|part| part["type"] == "input_image").count(), pictures, "{} {}", output, sent);
            let texts = sent.as_str().map(str::to_owned).into_iter().chain(parts.iter().filter_map(|part| Some(part["text"].as_str()?.to_owned())));
            prop_assert!(!texts.into_iter().any(|text| text.contains(PNG)), "{} {}", output, sent);
        }
    }
}
