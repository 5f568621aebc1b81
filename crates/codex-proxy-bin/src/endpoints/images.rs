//! `POST /v1/images/generations` and `POST /v1/images/edits`.

use codex_client::TurnInfo;
use codex_translate::images::{ImagesRequest, Task};
use codex_translate::{Error, Finish, Summary};
use http::{Response, StatusCode};

use crate::app::App;
use crate::reply::{self, ReplyBody};
use crate::request::context::RequestContext;

/// Generates or edits images.
///
/// # Errors
/// The request is invalid, or the backend refused it.
pub(crate) async fn images(
    app: &App,
    task: Task,
    context: &RequestContext,
    body: &[u8],
) -> Result<Response<ReplyBody>, Error> {
    let request = ImagesRequest::from_json(task, body, &context.options)?;
    context.record.set_model(&TurnInfo::of_images(&request));
    let images = app.client.images(request).await?;
    context.record.complete(&Summary::new(Finish::Stop, images.usage));
    let notices = images.notices.clone();
    let mut response = reply::json(StatusCode::OK, &images.into_json());
    reply::add_notices(response.headers_mut(), &notices);
    Ok(response)
}
