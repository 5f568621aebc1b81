//! The model that the path of a request names, as paths of Azure do.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use codex_translate::{Error, ErrorKind, Notice, NoticeKind};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

/// The member of a body that names the model.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
}

/// Returns a body that names `deployment` as its model. At Azure the path counts, whatever the body says; if that is
/// another model, the notice says so. A body without members stays as it is.
///
/// # Errors
/// The body cannot be written (500).
pub(crate) fn with_deployment(body: Bytes, deployment: &str) -> Result<(Bytes, Option<Notice>), Error> {
    let named = serde_json::from_slice::<Named<'_>>(&body).ok().and_then(|Named { model }| model);
    if named.as_deref() == Some(deployment) {
        return Ok((body, None));
    }
    let is_other = named.is_some_and(|model| !model.is_empty());
    let Ok(mut members) = serde_json::from_slice::<BTreeMap<Cow<'_, str>, &RawValue>>(&body) else {
        return Ok((body, None));
    };
    let unwritable = |error| Error::new(ErrorKind::Internal, format!("cannot write the request: {error}"));
    let model = to_raw_value(deployment).map_err(unwritable)?;
    members.insert(Cow::Borrowed("model"), &model);
    let notice = is_other.then(|| Notice {
        parameter: "model".to_owned(),
        kind: NoticeKind::Dropped,
        detail: "the path names another deployment".to_owned(),
    });
    Ok((serde_json::to_vec(&members).map_err(unwritable)?.into(), notice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_names_the_model() {
        for (body, expected, has_notice) in [
            ("{\"a\": [1.50]}", "{\"a\":[1.50],\"model\":\"d\\\"\"}", false),
            ("{\"model\": null}", "{\"model\":\"d\\\"\"}", false),
            ("{\"model\": \"\"}", "{\"model\":\"d\\\"\"}", false),
            ("{\"model\": 7}", "{\"model\":\"d\\\"\"}", false),
            ("{\"model\": \"x\", \"model\": \"y\"}", "{\"model\":\"d\\\"\"}", false),
            ("{\"model\": \"other\"}", "{\"model\":\"d\\\"\"}", true),
            ("{ \"model\": \"d\\u0022\" }", "{ \"model\": \"d\\u0022\" }", false),
            ("[\"model\"]", "[\"model\"]", false),
            ("{\"model\"", "{\"model\"", false),
        ] {
            let (named, notice) = with_deployment(Bytes::from(body), "d\"").unwrap();
            assert_eq!((&*named, notice.is_some()), (expected.as_bytes(), has_notice), "{body}");
        }
    }
}
