//! Meta's signed requests for deauthorization and data deletion, which anybody can forge.

use graph_api::signed_request::verify;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::{Input, assert_accepted, document, iterations};

/// `payload=$(printf '{"algorithm":"HMAC-SHA256","issued_at":1000000,"user_id":"42"}' | basenc --base64url -w0 | tr -d
/// =)`, signed by `printf $payload | openssl dgst -sha256 -hmac secret -binary | basenc --base64url | tr -d =`.
const SIGNED: [&str; 1] = [
    "_vpKHmKAz_sGCsq51QwvHkudRaTtJppudP8RzobumEQ.eyJhbGdvcml0aG0iOiJITUFDLVNIQTI1NiIsImlzc3VlZF9hdCI6MTAwMDAwMCwidXNlcl9pZCI6IjQyIn0",
];

/// Only the text that Meta signed is accepted, however it is mutated.
#[test]
fn signed_requests() {
    let secret = SecretString::from("secret");
    let now = Timestamp::from_second(1_000_060).unwrap();
    let read = |text: &[u8]| verify(&[&secret], &String::from_utf8_lossy(text), now);
    assert_accepted(&SIGNED, |text| read(text).is_ok_and(|opened| opened.user.as_str() == "42"));
    bolero::check!().with_type::<Input>().with_iterations(iterations()).for_each(|input: &Input| {
        let text = document(&SIGNED, input);
        assert_eq!(read(&text).is_ok(), text == SIGNED[0].as_bytes());
    });
}
