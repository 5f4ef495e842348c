//! What a response looks like to its client: its entity tag, its encoding, and whether it has a body at all.

use std::io::Write;

use brotli::CompressorWriter;
use bytes::Bytes;
use domain::{Error, FieldError};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, VARY,
};
use http::{HeaderValue, Method, Request, StatusCode};
use runtime::Response;
use runtime::endpoint::Declaration;

use crate::version;

/// Smaller bodies are sent as they are.
const MIN_COMPRESSED_BYTES: usize = 1024;

/// Types that are compressed: data, and not the pages of a login, which hold secrets beside what a stranger may choose.
const COMPRESSED_TYPES: [&str; 2] = ["application/json", "text/csv"];

/// Fast, and small enough: higher levels take ten times as long for a few percent.
const GZIP_LEVEL: u32 = 5;
const BROTLI_LEVEL: u32 = 4;
const BROTLI_WINDOW: u32 = 20;
const BUFFER_BYTES: usize = 16 * 1024;

/// What the headers of a request ask of the form of its response.
#[derive(Debug)]
pub(crate) struct Representation {
    is_read: bool,
    is_head: bool,
    if_none_match: Option<String>,
    encoding: Option<Encoding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Brotli,
    Gzip,
}

impl Representation {
    /// Reads the headers. Refuses a condition that the endpoint would ignore.
    pub(crate) fn requested(request: &Request<Bytes>, declaration: &Declaration) -> Result<Self, Error> {
        if request.headers().contains_key(IF_MATCH) && !declaration.checks_version {
            return Err(FieldError::new("If-Match", "is not checked here; leave it out").into());
        }
        let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        Ok(Self {
            is_read: declaration.method == Method::GET,
            is_head: request.method() == Method::HEAD,
            if_none_match: text(IF_NONE_MATCH).map(str::to_owned),
            encoding: text(ACCEPT_ENCODING).and_then(Encoding::preferred),
        })
    }

    /// Gives a response this form.
    pub(crate) fn apply(&self, mut response: Response) -> Response {
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_data =
            content_type.is_some_and(|kind| COMPRESSED_TYPES.iter().any(|data| kind.starts_with(data)));
        let is_large = is_data && response.body().len() >= MIN_COMPRESSED_BYTES;
        if is_large {
            response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
        }
        if self.is_read && is_data && response.status() == StatusCode::OK {
            let is_known = version::tag(&mut response, self.if_none_match.as_deref());
            if is_known {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                response.headers_mut().remove(CONTENT_TYPE);
                *response.body_mut() = Bytes::new();
            }
        }
        if let Some(encoding) = self.encoding.filter(|_| is_large && !response.body().is_empty())
            && let Some(compressed) = encoding.compress(response.body())
        {
            *response.body_mut() = compressed;
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
        }
        if self.is_head {
            let length = response.body().len();
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
            *response.body_mut() = Bytes::new();
        }
        response
    }
}

impl Encoding {
    /// Returns the best encoding that an `Accept-Encoding` allows, if any. Brotli comes first where both are as welcome.
    fn preferred(accepted: &str) -> Option<Self> {
        let weight = |encoding: Self| {
            accepted.split(',').find_map(|part| {
                let mut parts = part.split(';').map(str::trim);
                let name = parts.next()?;
                let weight = parts.find_map(|parameter| parameter.strip_prefix("q=")?.parse::<f32>().ok());
                name.eq_ignore_ascii_case(encoding.name()).then_some(weight.unwrap_or(1.0))
            })
        };
        let welcome = |encoding: Self| weight(encoding).filter(|weight| *weight > 0.0);
        match (welcome(Self::Brotli), welcome(Self::Gzip)) {
            (Some(brotli), Some(gzip)) if gzip > brotli => Some(Self::Gzip),
            (Some(_), _) => Some(Self::Brotli),
            (None, gzip) => gzip.map(|_| Self::Gzip),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// Returns the compressed bytes, if they are fewer.
    fn compress(self, body: &Bytes) -> Option<Bytes> {
        let compressed = match self {
            Self::Brotli => {
                let mut writer = CompressorWriter::new(Vec::new(), BUFFER_BYTES, BROTLI_LEVEL, BROTLI_WINDOW);
                writer.write_all(body).ok()?;
                writer.into_inner()
            }
            Self::Gzip => {
                let mut writer = GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL));
                writer.write_all(body).ok()?;
                writer.finish().ok()?
            }
        };
        (compressed.len() < body.len()).then(|| compressed.into())
    }
}
