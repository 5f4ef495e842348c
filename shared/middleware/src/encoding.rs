//! Bodies that their sender compressed.

use std::io::Read;

use bytes::Bytes;
use domain::FieldError;
use flate2::read::MultiGzDecoder;
use http::Request;
use http::header::CONTENT_ENCODING;
use runtime::{Response, request, router};

/// Returns a request with its body as it was before it was compressed with gzip. Refuses other encodings, and bodies that
/// have more than `max_bytes` then.
pub(crate) fn decoded(
    mut request: Request<Bytes>,
    max_bytes: usize,
) -> Result<Request<Bytes>, Box<Response>> {
    if !request.headers().contains_key(CONTENT_ENCODING) {
        return Ok(request);
    }
    let encoding = request::header(&request, CONTENT_ENCODING.as_str()).map(str::to_ascii_lowercase);
    match encoding.as_deref() {
        Some("identity") => return Ok(request),
        Some("gzip" | "x-gzip") => {}
        _ => {
            return Err(crate::reject(
                FieldError::new("Content-Encoding", "must be gzip or identity").into(),
            ));
        }
    }
    let mut body = Vec::new();
    // One byte more tells that there are too many.
    let decoded = MultiGzDecoder::new(&request.body()[..]).take(max_bytes as u64 + 1).read_to_end(&mut body);
    if decoded.is_err() {
        let error = FieldError::new("body", "is not compressed with gzip, as its Content-Encoding says");
        return Err(crate::reject(error.into()));
    }
    if body.len() > max_bytes {
        return Err(Box::new(router::too_large(max_bytes)));
    }
    request.headers_mut().remove(CONTENT_ENCODING);
    *request.body_mut() = body.into();
    Ok(request)
}
