//! The request model: what one call sends.

use bytes::Bytes;
use reqwest::Method;

use crate::error::CallKind;
use crate::limit;
use crate::usage::UseCase;

/// The effect of a call at Meta, which decides whether it may be sent again when its outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A read.
    Read,
    /// An idempotent write: setting values, or deleting.
    Set,
    /// A creation: a second call creates a second object.
    Create,
}

/// A file uploaded with a call.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// The name of the multipart field.
    pub(crate) field: &'static str,
    /// The file name.
    pub(crate) name: String,
    /// The content.
    pub(crate) bytes: Bytes,
}

/// One call to the Graph API.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) params: &'a [(&'a str, &'a str)],
    pub(crate) file: Option<&'a File>,
    pub(crate) effect: Effect,
}

impl Call<'_> {
    pub(crate) fn kind(&self) -> CallKind {
        CallKind { creates: self.effect == Effect::Create, case: use_case(self.path) }
    }
}

impl Effect {
    /// Returns the points that a call costs of the ad account's score.
    pub(crate) fn points(self) -> u32 {
        if self == Self::Read { limit::READ_POINTS } else { limit::WRITE_POINTS }
    }
}

/// Returns the use case that a path counts as. Report runs are also read through `/insights`.
pub(crate) fn use_case(path: &str) -> UseCase {
    if path.ends_with("/insights") { UseCase::AdsInsights } else { UseCase::AdsManagement }
}

/// Returns the kind of endpoint of a path: its edge, `object` where it has none, `batch` for the root. Names no object.
pub(crate) fn endpoint_class(path: &str) -> &str {
    match path.rsplit('/').next() {
        Some("") | None => "batch",
        Some(last)
            if last.starts_with("act_") || !last.starts_with(|first: char| first.is_ascii_lowercase()) =>
        {
            "object"
        }
        Some(edge) => edge,
    }
}

/// Builds the multipart form of a call with a file.
pub(crate) fn multipart(params: &[(&str, &str)], file: &File) -> reqwest::multipart::Form {
    let part = reqwest::multipart::Part::stream(file.bytes.clone()).file_name(file.name.clone());
    let fields = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    fields
        .fold(reqwest::multipart::Form::new(), |form, (name, value)| form.text(name, value))
        .part(file.field, part)
}
