//! One call, before it is sent.

use bytes::Bytes;
use reqwest::Method;

use crate::error::CallKind;
use crate::limit;
use crate::usage::UseCase;

/// What a call does at Meta, and so whether it may be sent again when its outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Reading.
    Read,
    /// Setting values that are the same when set twice, or deleting.
    Set,
    /// Making something: a second call makes a second one.
    Create,
}

/// A file that travels with a call.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// The part's name.
    pub(crate) field: &'static str,
    /// The file's name.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) bytes: Bytes,
}

/// One call.
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
    /// What a call costs of an account's score.
    pub(crate) fn points(self) -> u32 {
        if self == Self::Read { limit::READ_POINTS } else { limit::WRITE_POINTS }
    }
}

/// What a call counts as: reports are read through `/insights` of their run.
pub(crate) fn use_case(path: &str) -> UseCase {
    if path.ends_with("/insights") { UseCase::AdsInsights } else { UseCase::AdsManagement }
}

/// The form of a call with a file.
pub(crate) fn multipart(params: &[(&str, &str)], file: &File) -> reqwest::multipart::Form {
    let part = reqwest::multipart::Part::stream(file.bytes.clone()).file_name(file.name.clone());
    let fields = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    fields
        .fold(reqwest::multipart::Form::new(), |form, (name, value)| form.text(name, value))
        .part(file.field, part)
}
