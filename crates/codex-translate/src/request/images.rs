//! Image requests: from the public Images API to the backend's (docs/backend.md §2.1).
//!
//! The backend's two calls accept what the public ones do, except for most options; the official client uses them for
//! its own image tool. The backend ignores model, quality and size, and reports in its reply what it used:
//! [`ImagesRequest::differences`] turns that into notices.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::error::Error;
use crate::json::{self, Node, ValueKind};
use crate::notice::{Notice, NoticeKind, Notices};
use crate::profile::Options;
use crate::request::params;

/// The model that the official client requests.
pub const MODEL: &str = "gpt-image-2";

/// The value that leaves the choice to the backend.
const AUTO: &str = "auto";

/// The maximum number of images in one edit, as in the public API.
const MAX_IMAGES: usize = 16;

/// Which of the two calls to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// An image from a prompt.
    Generation,
    /// An image from other images and a prompt.
    Edit,
}

/// A normalised image request.
#[derive(Clone, Debug)]
pub struct ImagesRequest {
    /// Which call to make.
    pub task: Task,
    /// The prompt.
    pub prompt: String,
    /// The images to edit, as data or https URLs; empty for a generation.
    pub images: Vec<String>,
    /// `transparent`, `opaque` or `auto`.
    pub background: String,
    /// `low`, `medium`, `high` or `auto`.
    pub quality: String,
    /// `auto`, or width and height.
    pub size: String,
    /// How many images; the backend makes one per call.
    pub n: u32,
    /// Whether the caller wants URLs.
    pub as_url: bool,
    /// What could not be forwarded unchanged.
    pub notices: Vec<Notice>,
}

impl ImagesRequest {
    /// Parses and normalises the body of a request.
    ///
    /// # Errors
    /// The request is invalid or asks for something that is not possible or, in strict mode, for something that would
    /// be dropped: a 400 that names the parameter.
    ///
    /// # Example
    /// ```
    /// use codex_translate::Options;
    /// use codex_translate::images::{ImagesRequest, Task};
    ///
    /// let body = br#"{"prompt": "a fox", "style": "vivid"}"#;
    /// let request = ImagesRequest::from_json(Task::Generation, body, &Options::default())?;
    /// assert_eq!(request.notices[0].to_string(), "style dropped: not supported by the backend");
    /// # Ok::<(), codex_translate::Error>(())
    /// ```
    pub fn from_json(task: Task, body: &[u8], options: &Options) -> Result<Self, Error> {
        let text = json::text(body)?;
        let root = Node::root(json::parse(text.as_bytes())?);
        let mut notices = Notices::default();
        if matches!(text, Cow::Owned(_)) {
            notices.repaired("*", "replaced a lone surrogate with U+FFFD");
        }
        let mut request = Self { task, ..Self::prompt("") };
        for (key, raw) in &root.object()? {
            let node = root.key(key, raw);
            if !params::is_absent(params::IMAGES, key, &node) && !request.read(key, &node, &mut notices)? {
                params::reject_or_drop(params::IMAGES, key, &node, &mut notices)?;
            }
        }
        if request.prompt.is_empty() {
            return Err(root.missing("prompt"));
        }
        if request.task == Task::Edit && request.images.is_empty() {
            return Err(root.missing("image"));
        }
        if request.n > options.max_choices {
            let message = format!("`n` is {}; the maximum is {}", request.n, options.max_choices);
            return Err(Error::invalid("n", message));
        }
        if request.n > 1 {
            notices.emulated("n", "one call per image");
        }
        request.notices = notices.finish(options.strict)?;
        Ok(request)
    }

    /// Makes the request for one image from a prompt, with the properties that the backend chooses.
    ///
    /// ```
    /// use codex_translate::images::ImagesRequest;
    ///
    /// let request = ImagesRequest::prompt("a fox");
    /// assert!(request.to_json().starts_with(br#"{"prompt":"a fox","background":"auto","#));
    /// ```
    pub fn prompt(prompt: impl Into<String>) -> Self {
        let auto = || AUTO.to_owned();
        Self {
            task: Task::Generation,
            prompt: prompt.into(),
            images: Vec::new(),
            background: auto(),
            quality: auto(),
            size: auto(),
            n: 1,
            as_url: false,
            notices: Vec::new(),
        }
    }

    /// Reads one parameter; `false` if it is neither forwarded nor emulated.
    fn read(&mut self, key: &str, node: &Node<'_, '_>, notices: &mut Notices) -> Result<bool, Error> {
        match key {
            "prompt" => self.prompt = node.non_empty()?,
            "model" => {
                let model = node.string()?;
                if model != MODEL {
                    notices.emulated(
                        "model",
                        format!("sent `{model}` as `{MODEL}`; the backend uses its own image model"),
                    );
                }
            }
            "background" => self.background = node.non_empty()?,
            "size" => self.size = node.non_empty()?,
            "quality" => {
                let quality = node.non_empty()?;
                self.quality = nearest_quality(&quality).to_owned();
                if self.quality != quality {
                    notices.clamped("quality", format!("sent `{quality}` as `{}`", self.quality));
                }
            }
            "n" => self.n = node.positive()?,
            "response_format" => {
                self.as_url = match &*node.str()? {
                    "url" => true,
                    "b64_json" => false,
                    _ => return Err(node.invalid("must be `b64_json` or `url`")),
                };
                if self.as_url {
                    notices.emulated(key, "a data URL: nothing is stored here");
                }
            }
            "image" | "images" if self.task == Task::Edit => self.add_images(node)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn add_images(&mut self, node: &Node<'_, '_>) -> Result<(), Error> {
        if node.kind() == ValueKind::Array {
            for (index, raw) in node.array()?.into_iter().enumerate() {
                self.add_image(&node.index(index, raw))?;
            }
        } else {
            self.add_image(node)?;
        }
        if self.images.len() > MAX_IMAGES {
            return Err(node.invalid(format_args!("contains more than {MAX_IMAGES} images")));
        }
        Ok(())
    }

    /// Adds an image, given as a URL or as an object with one.
    fn add_image(&mut self, node: &Node<'_, '_>) -> Result<(), Error> {
        if node.kind() == ValueKind::String {
            self.images.push(url(node)?);
            return Ok(());
        }
        let members = node.object()?;
        let Some((key, raw)) = members.iter().find(|(key, _)| key == "image_url") else {
            let problem = "must have an `image_url` with a data URL or an https URL; uploaded files are not supported";
            return Err(node.invalid(problem));
        };
        self.images.push(url(&node.key(key, raw))?);
        Ok(())
    }

    /// Writes the body of one call, with the keys and the order of the official client.
    pub fn to_json(&self) -> Vec<u8> {
        // A type whose maps have string keys cannot fail to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Returns a notice for each property that the backend chose differently from the request, given what the backend
    /// reports.
    pub fn differences(&self, quality: Option<&str>, size: Option<&str>) -> Vec<Notice> {
        let differences = |parameter: &str, asked: &str, made: Option<&str>| {
            let made = made.filter(|made| asked != AUTO && *made != asked)?;
            let detail = format!("requested `{asked}`; the backend used `{made}`");
            Some(Notice { parameter: parameter.to_owned(), kind: NoticeKind::Clamped, detail })
        };
        let notices = [differences("quality", &self.quality, quality), differences("size", &self.size, size)];
        notices.into_iter().flatten().collect()
    }
}

impl Serialize for ImagesRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.images.is_empty() {
            let images: Vec<_> = self.images.iter().map(|url| ImageUrl { image_url: url }).collect();
            map.serialize_entry("images", &images)?;
        }
        map.serialize_entry("prompt", &self.prompt)?;
        map.serialize_entry("background", &self.background)?;
        map.serialize_entry("model", MODEL)?;
        map.serialize_entry("quality", &self.quality)?;
        map.serialize_entry("size", &self.size)?;
        map.end()
    }
}

#[derive(serde::Serialize)]
struct ImageUrl<'a> {
    image_url: &'a str,
}

fn url(node: &Node<'_, '_>) -> Result<String, Error> {
    let url = node.non_empty()?;
    if url.starts_with("data:image/") || url.starts_with("https://") {
        return Ok(url);
    }
    Err(node.invalid("must be the data URL of an image or an https URL"))
}

/// Maps the public API's values to the backend's, which are fewer.
fn nearest_quality(quality: &str) -> &str {
    match quality {
        "hd" | "xhigh" | "max" => "high",
        "standard" => AUTO,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const IMAGE_URL: &str = "data:image/png;base64,AAAA";

    fn read(task: Task, body: &Value) -> Result<ImagesRequest, Error> {
        ImagesRequest::from_json(task, body.to_string().as_bytes(), &Options::default())
    }

    fn sent(request: &ImagesRequest) -> Value {
        serde_json::from_slice(&request.to_json()).unwrap()
    }

    #[test]
    fn a_lone_surrogate_is_replaced_with_a_notice() {
        let body = br#"{"prompt": "a fox \udc4b"}"#;
        let request = ImagesRequest::from_json(Task::Generation, body, &Options::default()).unwrap();
        assert_eq!(request.prompt, "a fox \u{fffd}");
        assert_eq!(request.notices.iter().map(|notice| notice.kind).collect::<Vec<_>>(), [NoticeKind::Repaired]);
    }

    #[test]
    fn a_generation_has_the_official_clients_keys() {
        let request = read(Task::Generation, &json!({"prompt": "a fox", "model": MODEL})).unwrap();
        let expected = r#"{"prompt":"a fox","background":"auto","model":"gpt-image-2","quality":"auto","size":"auto"}"#;
        assert_eq!(String::from_utf8(request.to_json()).unwrap(), expected);
        assert!(request.notices.is_empty() && request.n == 1 && !request.as_url);
    }

    #[test]
    fn images_are_accepted_in_every_form() {
        for images in [
            json!({"image": IMAGE_URL}),
            json!({"image": [IMAGE_URL]}),
            json!({"images": [{"image_url": IMAGE_URL}]}),
            json!({"images": [IMAGE_URL]}),
        ] {
            let mut body = json!({"prompt": "a hat"});
            body.as_object_mut().unwrap().extend(images.as_object().unwrap().clone());
            assert_eq!(sent(&read(Task::Edit, &body).unwrap())["images"], json!([{"image_url": IMAGE_URL}]), "{body}");
        }
    }

    #[test]
    fn each_parameter_is_treated_as_its_table_says() {
        for parameter in params::IMAGES {
            let value = match parameter.name {
                "prompt" | "model" | "user" | "safety_identifier" | "style" | "complexity" => json!("x"),
                "image" | "images" => json!(IMAGE_URL),
                "n" | "frame_count" => json!(2),
                "quality" => json!("hd"),
                "response_format" => json!("url"),
                "stream" => json!(true),
                "output_compression" | "partial_images" | "frame_duration_ms" => json!(50),
                _ => json!("low"),
            };
            let mut body = json!({"prompt": "a fox", "image": IMAGE_URL});
            body[parameter.name] = value;
            let outcome = read(Task::Edit, &body);
            let kinds =
                outcome.as_ref().map(|request| request.notices.iter().map(|notice| notice.kind.as_str()).collect());
            if parameter.treatment == params::Treatment::Rejected {
                assert_eq!(outcome.unwrap_err().param(), Some(parameter.name));
            } else if parameter.treatment == params::Treatment::Forwarded {
                assert_eq!(kinds, Ok(vec![]), "{}", parameter.name);
            } else {
                assert_eq!(kinds, Ok(vec![parameter.treatment.as_str()]), "{}", parameter.name);
            }
        }
    }

    #[test]
    fn errors_name_the_parameter() {
        let rows = [
            (Task::Generation, json!({}), "prompt"),
            (Task::Generation, json!({"prompt": ""}), "prompt"),
            (Task::Generation, json!({"prompt": "x", "n": 0}), "n"),
            (Task::Generation, json!({"prompt": "x", "n": 1000}), "n"),
            (Task::Generation, json!({"prompt": "x", "response_format": "jpeg"}), "response_format"),
            (Task::Edit, json!({"prompt": "x"}), "image"),
            (Task::Edit, json!({"prompt": "x", "image": "file.png"}), "image"),
            (Task::Edit, json!({"prompt": "x", "images": [{"file_id": "f"}]}), "images[0]"),
            (Task::Edit, json!({"prompt": "x", "images": vec![IMAGE_URL; 17]}), "images"),
        ];
        for (task, body, param) in rows {
            assert_eq!(read(task, &body).unwrap_err().param(), Some(param), "{body}");
        }
        let strict = Options { strict: true, ..Options::default() };
        let error = ImagesRequest::from_json(Task::Generation, br#"{"prompt": "x", "style": "vivid"}"#, &strict);
        assert_eq!(error.unwrap_err().param(), Some("style"));
    }

    #[test]
    fn an_image_of_a_generation_is_dropped_with_a_notice() {
        let request = read(Task::Generation, &json!({"prompt": "x", "image": IMAGE_URL})).unwrap();
        assert!(request.images.is_empty() && request.notices[0].parameter == "image");
    }

    #[test]
    fn differences_from_the_request_are_reported() {
        let body = json!({"prompt": "x", "quality": "high", "size": "1024x1536"});
        let request = read(Task::Generation, &body).unwrap();
        assert_eq!(request.differences(Some("high"), Some("1024x1536")), []);
        assert_eq!(request.differences(None, None), []);
        let notices = request.differences(Some("low"), Some("1254x1254"));
        let named: Vec<_> = notices.iter().map(|notice| (&*notice.parameter, notice.kind)).collect();
        assert_eq!(named, [("quality", NoticeKind::Clamped), ("size", NoticeKind::Clamped)]);
        assert!(notices[1].detail.contains("1024x1536") && notices[1].detail.contains("1254x1254"));
        let auto = read(Task::Generation, &json!({"prompt": "x"})).unwrap();
        assert_eq!(auto.differences(Some("low"), Some("1254x1254")), []);
    }
}
