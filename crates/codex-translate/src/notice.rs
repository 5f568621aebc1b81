//! Notices of what a translation could not forward unchanged, so that nothing is lost silently.

use std::collections::BTreeSet;
use std::fmt;

use crate::bounds::MAX_NOTICES;
use crate::error::Error;
use crate::paths::ToolSource;

/// The longest parameter or detail in the header form of a notice, in bytes.
const MAX_PHRASE_BYTES: usize = 120;

/// A parameter that was not forwarded unchanged: which, what became of it, and why.
///
/// `parameter` is a path with `[]` for every index, such as `messages[].content[].cache_control`, so one cause leaves
/// one notice however often it occurs. [`fmt::Display`] writes visible ASCII without commas, as needed in a
/// comma-separated header: `temperature dropped: not supported by the backend`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    /// The path of the parameter in the caller's request.
    pub parameter: String,
    /// What became of it.
    pub kind: NoticeKind,
    /// Why, or what it became: a short phrase.
    pub detail: String,
}

/// What became of a parameter that was not forwarded unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NoticeKind {
    /// Not sent; implemented by this crate or its embedder.
    Emulated,
    /// Sent with the nearest value that the model supports.
    Clamped,
    /// Not sent and without effect.
    Dropped,
    /// Sent in another form that has the same meaning.
    Repaired,
}

impl NoticeKind {
    /// Returns the word for this kind in headers and documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Emulated => "emulated",
            Self::Clamped => "clamped",
            Self::Dropped => "dropped",
            Self::Repaired => "repaired",
        }
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", phrase(&self.parameter), self.kind, phrase(&self.detail))
    }
}

/// Collects the notices of one request, without duplicates, in the order of their first occurrence.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notices {
    list: Vec<Notice>,
    seen: BTreeSet<Notice>,
    /// The first parameter that was dropped, even if the list is full: it is the error of a strict request.
    first_dropped: Option<Notice>,
    beyond: usize,
    /// What the readers saw that is not in what they return.
    pub(crate) trail: Trail,
}

/// What the readers saw of the caller's body that the paths of errors depend on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trail {
    /// Whether some part of the message that is read did not become exactly one part.
    pub(crate) is_shifted: bool,
    /// Whether some part of it has other members than the part that it became.
    pub(crate) is_rewritten: bool,
    /// Whether an image of that message has its URL in an object.
    pub(crate) has_nested_url: bool,
    /// Whether an image of that message has its URL as a string.
    pub(crate) has_flat_url: bool,
    /// How many parts of the `content` of an assistant's message are sent with its `images`.
    pub(crate) shown: usize,
    /// Whether some element of its `images` did not become exactly one part.
    pub(crate) is_images_shifted: bool,
    /// The sources of the tools that were read.
    pub(crate) tools: Vec<ToolSource>,
    /// The member that has the schema of the function that is read.
    pub(crate) schema: Option<&'static str>,
}

impl Notices {
    pub(crate) fn dropped(&mut self, parameter: impl Into<String>, detail: impl Into<String>) {
        self.add(parameter, NoticeKind::Dropped, detail);
    }

    /// Notes that a default of the API has no effect here, which is no error in strict mode.
    pub(crate) fn lost(&mut self, parameter: impl Into<String>, detail: impl Into<String>) {
        self.without_error(|notices| notices.dropped(parameter, detail));
    }

    /// Calls `read`. What it drops is no error in strict mode.
    pub(crate) fn without_error<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let first_dropped = self.first_dropped.take();
        let read = read(self);
        self.first_dropped = first_dropped;
        read
    }

    pub(crate) fn emulated(&mut self, parameter: impl Into<String>, detail: impl Into<String>) {
        self.add(parameter, NoticeKind::Emulated, detail);
    }

    pub(crate) fn clamped(&mut self, parameter: impl Into<String>, detail: impl Into<String>) {
        self.add(parameter, NoticeKind::Clamped, detail);
    }

    pub(crate) fn repaired(&mut self, parameter: impl Into<String>, detail: impl Into<String>) {
        self.add(parameter, NoticeKind::Repaired, detail);
    }

    /// Adds the notices of a reading that was tried apart.
    pub(crate) fn extend(&mut self, tried: Self) {
        for Notice { parameter, kind, detail } in tried.list {
            self.add(parameter, kind, detail);
        }
        self.beyond += tried.beyond;
    }

    /// Returns the list or, in strict mode, an error for what was dropped.
    ///
    /// # Errors
    /// `strict` is set and a parameter was dropped: a 400 that names it.
    pub(crate) fn finish(mut self, strict: bool) -> Result<Vec<Notice>, Error> {
        if let Some(notice) = self.first_dropped.filter(|_| strict) {
            let message = format!("`{}` cannot be honoured: {}; leave it out", notice.parameter, notice.detail);
            return Err(Error::invalid(notice.parameter.clone(), message).with_code("unsupported_parameter"));
        }
        if self.beyond > 0 {
            let detail = format!("{} further notices", self.beyond);
            self.list.push(Notice { parameter: "*".to_owned(), kind: NoticeKind::Dropped, detail });
        }
        Ok(self.list)
    }

    fn add(&mut self, parameter: impl Into<String>, kind: NoticeKind, detail: impl Into<String>) {
        let notice = Notice { parameter: parameter.into(), kind, detail: detail.into() };
        if self.seen.contains(&notice) {
            return;
        }
        if kind == NoticeKind::Dropped && self.first_dropped.is_none() {
            self.first_dropped = Some(notice.clone());
        }
        if self.list.len() + 1 >= MAX_NOTICES {
            self.beyond += 1;
            return;
        }
        self.seen.insert(notice.clone());
        self.list.push(notice);
    }
}

/// Returns `text` as visible ASCII without commas, cut to a bounded length.
fn phrase(text: &str) -> String {
    let safe = text.chars().map(|c| match c {
        ',' => ';',
        ' '..='~' => c,
        _ => '?',
    });
    safe.take(MAX_PHRASE_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_safe_in_a_header() {
        let notice = Notice { parameter: "a\r\nb: é,x".into(), kind: NoticeKind::Dropped, detail: "x".repeat(500) };
        let text = notice.to_string();
        assert!(text.starts_with("a??b: ?;x dropped: xxx"), "{text}");
        assert!(text.len() < 300 && text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b','));
    }

    #[test]
    fn each_notice_is_listed_once_and_the_list_is_bounded() {
        let mut notices = Notices::default();
        for index in 0..1000 {
            notices.dropped("user", "why");
            notices.dropped(format!("unknown_{index}"), "why");
        }
        let list = notices.finish(false).unwrap();
        assert_eq!(list.len(), MAX_NOTICES);
        assert_eq!(list.iter().filter(|notice| notice.parameter == "user").count(), 1);
        assert!(list[MAX_NOTICES - 1].detail.ends_with("further notices"));
    }

    #[test]
    fn dropped_parameters_are_errors_in_strict_mode() {
        let mut notices = Notices::default();
        notices.repaired("tools", "fine");
        assert!(notices.clone().finish(true).is_ok());
        notices.dropped("seed", "why");
        let error = notices.finish(true).unwrap_err();
        assert_eq!((error.param(), error.status_hint()), (Some("seed"), 400));
    }
}
