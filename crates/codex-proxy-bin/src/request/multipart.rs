//! Forms with files (`multipart/form-data`, RFC 7578), as the OpenAI SDKs send images, converted to the equivalent
//! JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use codex_translate::Error;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use multer::{Field, Multipart};
use serde_json::{Map, Value};

/// The fields whose text is a number or a boolean in JSON.
const TYPED: [&str; 6] = ["n", "output_compression", "partial_images", "stream", "frame_count", "frame_duration_ms"];

/// Returns the boundary of a form, if the body is one.
pub(crate) fn boundary(headers: &HeaderMap) -> Option<String> {
    multer::parse_boundary(headers.get(CONTENT_TYPE)?.to_str().ok()?).ok()
}

/// Converts a form to JSON: a file becomes a data URL, fields `name[]` become a list.
///
/// # Errors
/// The body is not a form, or a file in it is not an image (400).
pub(crate) async fn to_json(boundary: &str, body: Bytes) -> Result<Vec<u8>, Error> {
    let whole = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let mut form = Multipart::new(whole, boundary);
    let mut object = Map::new();
    while let Some(field) = form.next_field().await.map_err(|error| malformed(&error))? {
        let name = field.name().unwrap_or_default().to_owned();
        let is_file = field.file_name().is_some();
        let media_type = media_type(&field);
        let data = field.bytes().await.map_err(|error| malformed(&error))?;
        let value = if is_file { file(&name, media_type, &data)? } else { text(&name, &data)? };
        match name.strip_suffix("[]") {
            Some(list) => add(&mut object, list, value, true),
            None => add(&mut object, &name, value, false),
        }
    }
    // A map with string keys can always be written.
    Ok(serde_json::to_vec(&object).unwrap_or_default())
}

/// Adds a field; a name that appears again becomes a list, too.
fn add(object: &mut Map<String, Value>, name: &str, value: Value, is_list: bool) {
    match object.get_mut(name) {
        Some(Value::Array(list)) => list.push(value),
        Some(earlier) => *earlier = Value::Array(vec![earlier.take(), value]),
        None => {
            object.insert(name.to_owned(), if is_list { Value::Array(vec![value]) } else { value });
        }
    }
}

fn media_type(field: &Field<'_>) -> Option<String> {
    field
        .content_type()
        .map(|media_type| media_type.essence_str())
        .filter(|name| name.starts_with("image/"))
        .map(str::to_owned)
}

/// Returns a data URL of the type that the file's first bytes show, else of the declared type.
fn file(name: &str, media_type: Option<String>, data: &[u8]) -> Result<Value, Error> {
    let media_type = sniffed(data).map(str::to_owned).or(media_type).ok_or_else(|| {
        Error::invalid(name, format!("the file in `{name}` is not a supported image; send PNG, JPEG, WebP or GIF"))
    })?;
    Ok(format!("data:{media_type};base64,{}", STANDARD.encode(data)).into())
}

fn sniffed(data: &[u8]) -> Option<&'static str> {
    match data {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

fn text(name: &str, data: &[u8]) -> Result<Value, Error> {
    let text = std::str::from_utf8(data).map_err(|_| Error::invalid(name, format!("`{name}` is not valid UTF-8")))?;
    let typed = TYPED.contains(&name).then(|| serde_json::from_str(text).ok()).flatten();
    Ok(typed.unwrap_or_else(|| text.into()))
}

fn malformed(error: &multer::Error) -> Error {
    Error::new(codex_translate::ErrorKind::InvalidRequest, format!("invalid multipart form: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

    fn part(headers: &str, data: &[u8]) -> Vec<u8> {
        [format!("--b\r\nContent-Disposition: form-data; {headers}\r\n\r\n").as_bytes(), data, b"\r\n"].concat()
    }

    async fn read(parts: &[Vec<u8>]) -> Result<Value, Error> {
        let body = [parts.concat(), b"--b--\r\n".to_vec()].concat();
        to_json("b", body.into()).await.map(|json| serde_json::from_slice(&json).unwrap())
    }

    #[test]
    fn only_forms_have_a_boundary() {
        let boundary = |of: &str| boundary(&HeaderMap::from_iter([(CONTENT_TYPE, of.parse().unwrap())]));
        assert_eq!(boundary("multipart/form-data; boundary=abc").as_deref(), Some("abc"));
        for other in ["application/json", "", "multipart/form-data"] {
            assert_eq!(boundary(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn fields_and_files_become_json() {
        let url = "data:image/png;base64,iVBORw0KGgo=";
        let file = |name: &str| {
            part(&format!("name=\"{name}\"; filename=\"a\"\r\nContent-Type: application/octet-stream"), PNG)
        };
        let prompt = part("name=\"prompt\"", "ein Hut für 2 €".as_bytes());
        let n = part("name=\"n\"", b"2");
        let one = read(&[prompt.clone(), n, file("image")]).await.unwrap();
        assert_eq!(one, json!({"prompt": "ein Hut für 2 €", "n": 2, "image": url}));
        for name in ["image[]", "image"] {
            let two = read(&[file(name), prompt.clone(), file(name)]).await.unwrap();
            assert_eq!(two["image"], json!([url, url]), "{name}");
        }
        assert_eq!(read(&[file("image[]")]).await.unwrap()["image"], json!([url]));
        for (first, second) in [("image", "image[]"), ("image[]", "image")] {
            let both = read(&[file(first), file(second)]).await.unwrap();
            assert_eq!(both, json!({"image": [url, url]}), "{first}, {second}");
        }
        let number = read(&[part("name=\"prompt\"", b"7")]).await.unwrap();
        assert_eq!(number["prompt"], "7", "a prompt stays text");
    }

    #[tokio::test]
    async fn the_type_of_a_file_is_detected() {
        for (data, expected) in [
            (&b"\xff\xd8\xff\xe0"[..], "data:image/jpeg;"),
            (b"GIF89a", "data:image/gif;"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "data:image/webp;"),
            (b"something new", "data:image/avif;"),
        ] {
            let sent = read(&[part("name=\"image\"; filename=\"a\"\r\nContent-Type: image/avif", data)]).await.unwrap();
            assert!(sent["image"].as_str().unwrap().starts_with(expected), "{sent}");
        }
        let text = part("name=\"image\"; filename=\"a.txt\"\r\nContent-Type: text/plain", b"hello");
        assert_eq!(read(&[text]).await.unwrap_err().param(), Some("image"));
    }

    #[tokio::test]
    async fn a_malformed_form_is_rejected() {
        for body in ["", "hello", "--b\r\n", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nbroken off"] {
            assert_eq!(to_json("b", body.into()).await.unwrap_err().status_hint(), 400, "{body:?}");
        }
        assert_eq!(read(&[part("name=\"prompt\"", b"\xff\xfe")]).await.unwrap_err().param(), Some("prompt"));
    }
}
