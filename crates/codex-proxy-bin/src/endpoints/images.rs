//! `POST /v1/images/generations` and `POST /v1/images/edits`.

use bytes::Bytes;
use codex_client::TurnInfo;
use codex_translate::images::{ImagesRequest, Task};
use codex_translate::{Error, Finish, Summary};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};

use crate::app::App;
use crate::reply::{self, ReplyBody};
use crate::request::context::RequestContext;
use crate::request::multipart;

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
    context.record.set_model(&TurnInfo::of_images(&request));
    let images = app.client.images(request).await?;
    context.record.complete(&Summary { finish: Finish::Stop, usage: images.usage });
    let notices = images.notices.clone();
    let mut response = reply::json(StatusCode::OK, &images.into_json());
    reply::add_notices(response.headers_mut(), &notices);
    Ok(response)
}
