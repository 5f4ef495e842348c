//! Webhooks, which anybody can forge.

use graph_api::webhook::{is_signed, parse_changes};
use secrecy::SecretString;

use crate::{Input, assert_accepted, assert_round_trips, document, iterations};

const BODIES: [&str; 2] = [
    r#"{"object":"ad_account","entry":[{"id":"0","time":1796000000,"changes":[{"field":"with_issues_ad_objects","value":{"id":"23","level":"AD_SET","error_summary":"\u00fc"}},{"field":"creative_fatigue","value":{"ad_account_id":"77","adgroup_id":42}},{"field":"brand_new","value":{"x":[1,{"y":null}]}}]}]}"#,
    r#"{"object":"application","entry":[{"id":"1","time":1,"changed_fields":["a","b"]},{"id":2,"time":1,"changes":[{"field":"ad_account","value":{"id":"act_77","account_status":2}}]}]}"#,
];

/// Each extracted change can be queued, and is recognized when it is delivered again.
#[test]
fn bodies() {
    assert_accepted(&BODIES, |body| parse_changes(body).is_ok_and(|changes| changes.len() == 3));
    bolero::check!().with_type::<Input>().with_iterations(iterations()).for_each(|input: &Input| {
        let body = document(&BODIES, input);
        let Ok(cut) = parse_changes(&body) else { return };
        assert_eq!(parse_changes(&body).unwrap(), cut);
        for change in &cut {
            assert_eq!(change.digest.len(), 64);
            assert_round_trips(change);
        }
    });
}

/// `printf body | openssl dgst -sha256 -hmac secret`
const SIGNED: &str = "sha256=dc46983557fea127b43af721467eb9b3fde2338fe3e14f51952aa8478c13d355";

/// Only the right header is accepted as a signature; its hex digits may be in capitals.
#[test]
fn signatures() {
    let secret = SecretString::from("secret");
    assert!(is_signed(&secret, SIGNED, b"body"));
    bolero::check!().with_type::<(Input, Input)>().with_iterations(iterations()).for_each(
        |(header, body): &(Input, Input)| {
            let (header, body) = (document(&[SIGNED], header), document(&["body"], body));
            let header = String::from_utf8_lossy(&header);
            let right =
                header.to_ascii_lowercase() == SIGNED && header.starts_with("sha256=") && body == b"body";
            assert_eq!(is_signed(&secret, &header, &body), right, "{header}");
        },
    );
}
