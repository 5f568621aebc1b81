//! `POST /v1/images/generations` and `POST /v1/images/edits`.
//!
//! Both use the backend's endpoints of the same names, as the official client's own image tool does, instead of the
//! hosted tool of a turn: the model of a turn may answer in words instead, rewrites the prompt, and cannot be made to
//! draw, since the backend does not allow forcing a hosted tool (docs/backend.md §2.7).

use bytes::Bytes;
use codex_translate::images::{ImagesRequest, MODEL, Task};
use codex_translate::{Error, ErrorKind, Finish, Summary};
use codex_upstream::{ImageCall, ImagesReply, requests};
use futures_util::future::try_join_all;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value};

use crate::app::App;
use crate::reply::{self, ReplyBody};
use crate::request::context::RequestContext;
use crate::request::multipart;
use crate::turn::unary::{send_unary, unary_error, usage};

/// Generates or edits images.
///
/// # Errors
/// The request is invalid, or the backend refused it.
pub(crate) async fn images(
    app: &App,
    task: Task,
    context: &RequestContext,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response<ReplyBody>, Error> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let body = match multipart::boundary(content_type) {
        Some(boundary) => multipart::to_json(&boundary, body).await?.into(),
        None => body,
    };
    let request = ImagesRequest::from_json(task, &body, &context.options)?;
    context.record.set_model(MODEL, true, None, request.notices.len());
    let generated = drawn(app, task, &request).await?;
    context.record.complete(&Summary { finish: Finish::Stop, usage: usage(generated.usage.as_ref()) });
    let mut notices = request.notices.clone();
    notices.extend(request.differences(generated.quality.as_deref(), generated.size.as_deref()));
    let mut response = reply::json(StatusCode::OK, &reply_json(generated, request.as_url)?);
    reply::add_notices(response.headers_mut(), &notices);
    Ok(response)
}

/// Sends one request per image: the backend ignores the number.
async fn drawn(app: &App, task: Task, request: &ImagesRequest) -> Result<ImagesReply, Error> {
    let call = match task {
        Task::Generation => ImageCall::Generation,
        Task::Edit => ImageCall::Edit,
    };
    let body = request.to_json();
    let one = || async {
        let reply = send_unary(&app.client, |backend| requests::images(backend, call, &body)).await?;
        ImagesReply::parse(&reply).map_err(|error| unary_error(&error))
    };
    let replies = try_join_all((0..request.n).map(|_| one())).await?;
    let merged = replies.into_iter().reduce(|mut all, more| {
        all.data.extend(more.data);
        all.usage = sum(all.usage, more.usage);
        all
    });
    merged.ok_or_else(|| Error::new(ErrorKind::Internal, "the request asks for no images"))
}

/// Adds the numbers of two `usage` objects, key by key.
fn sum(one: Option<Value>, other: Option<Value>) -> Option<Value> {
    match (one, other) {
        (Some(Value::Object(mut one)), Some(Value::Object(other))) => {
            for (key, value) in other {
                let known = one.remove(&key);
                one.extend(sum(known, Some(value)).map(|sum| (key, sum)));
            }
            Some(Value::Object(one))
        }
        (Some(Value::Number(one)), Some(Value::Number(other))) => {
            Some(one.as_u64().zip(other.as_u64()).map_or(Value::Null, |(one, other)| one.saturating_add(other).into()))
        }
        (one, other) => one.or(other),
    }
}

/// Returns the reply, with data URLs instead of bare base64 if the caller wants URLs.
fn reply_json(generated: ImagesReply, as_url: bool) -> Result<Value, Error> {
    let format = generated.output_format.clone().unwrap_or_else(|| "png".to_owned());
    let mut json = serde_json::to_value(generated)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("cannot write the reply as JSON: {error}")))?;
    let data = json.get_mut("data").and_then(Value::as_array_mut).into_iter().flatten();
    for image in data.filter_map(Value::as_object_mut).filter(|_| as_url) {
        into_url(image, &format);
    }
    Ok(json)
}

fn into_url(image: &mut Map<String, Value>, format: &str) {
    if let Some(Value::String(base64)) = image.remove("b64_json") {
        image.insert("url".to_owned(), format!("data:image/{format};base64,{base64}").into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_of_two_usages_are_added() {
        let one = json!({"input_tokens": 1, "input_tokens_details": {"text_tokens": 1}, "a": 1});
        let other = json!({"input_tokens": 2, "input_tokens_details": {"text_tokens": 3, "image_tokens": 1}, "b": "x"});
        let expected = json!({"input_tokens": 3, "input_tokens_details": {"text_tokens": 4, "image_tokens": 1}, "a": 1,
            "b": "x"});
        assert_eq!(sum(Some(one.clone()), Some(other)), Some(expected));
        assert_eq!((sum(Some(one.clone()), None), sum(None, Some(one.clone()))), (Some(one.clone()), Some(one)));
    }
}
