//! Images.
//!
//! They use the backend's endpoints for images, as the official client's own image tool does, instead of the hosted
//! tool of a turn: the model of a turn may answer in words instead, rewrites the prompt, and cannot be made to draw,
//! since the backend does not allow forcing a hosted tool (docs/backend.md §2.7).

use codex_translate::images::ImagesRequest;
use codex_translate::{Error, ErrorKind, Notice, Usage};
use codex_upstream::{ImagesReply, requests};
use futures_util::future::try_join_all;
use serde_json::{Map, Value};

use crate::state::ClientState;
use crate::unary::{send_unary, usage};

/// Generated or edited images.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Images {
    /// The reply; the images are in base64.
    pub reply: ImagesReply,
    /// What could not be forwarded unchanged, and what the backend chose to do otherwise.
    pub notices: Vec<Notice>,
    /// The tokens used.
    pub usage: Option<Usage>,
    as_url: bool,
}

impl Images {
    /// Returns the reply in the form of the public API: with data URLs instead of bare base64 if the request wants
    /// URLs.
    pub fn into_json(self) -> Value {
        let format = self.reply.output_format.clone().unwrap_or_else(|| "png".to_owned());
        // Writing cannot fail: maps have string keys.
        let mut json = serde_json::to_value(self.reply).unwrap_or_default();
        let data = json.get_mut("data").and_then(Value::as_array_mut).into_iter().flatten();
        for image in data.filter_map(Value::as_object_mut).filter(|_| self.as_url) {
            into_url(image, &format);
        }
        json
    }
}

/// Sends one request per image: the backend ignores the number.
pub(crate) async fn draw(client: &ClientState, request: ImagesRequest) -> Result<Images, Error> {
    let one = || async {
        let reply = send_unary(client, |backend| requests::images(backend, &request)).await?;
        Ok::<_, Error>(ImagesReply::parse(&reply)?)
    };
    let replies = try_join_all((0..request.n).map(|_| one())).await?;
    let merged = replies.into_iter().reduce(|mut all, more| {
        all.data.extend(more.data);
        all.usage = sum(all.usage, more.usage);
        all
    });
    let reply = merged.ok_or_else(|| Error::new(ErrorKind::Internal, "the request asks for no images"))?;
    let usage = usage(reply.usage.as_ref());
    let differences = request.differences(reply.quality.as_deref(), reply.size.as_deref());
    let notices = request.notices.into_iter().chain(differences).collect();
    Ok(Images { reply, notices, usage, as_url: request.as_url })
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
