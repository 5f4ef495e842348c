//! Responses that openapi.yaml does not describe are rejected.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use journeys::response_validator::validate_response;
use serde_json::{Value, json};

fn is_valid(method: Method, path: &str, status: u16, headers: &[(&'static str, &str)], body: &Value) -> bool {
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    validate_response(&method, path, StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes()).is_ok()
}

#[test]
fn a_response_that_openapi_yaml_does_not_describe_is_rejected() {
    let json = [(CONTENT_TYPE.as_str(), "application/json")];
    let problem = [(CONTENT_TYPE.as_str(), "application/problem+json")];
    let (list, made) = ("/v1/workspaces", json!({"workspace": "w1", "name": "One", "role": "owner"}));
    let page = json!({"data": [made]});
    assert!(is_valid(Method::GET, list, 200, &json, &page));
    assert!(is_valid(Method::POST, list, 201, &json, &made));
    // A wrong status, a wrong content type, a missing body, an unexpected body, a body of another shape.
    assert!(!is_valid(Method::GET, list, 201, &json, &page));
    assert!(!is_valid(Method::POST, list, 200, &json, &made));
    assert!(!is_valid(Method::GET, list, 200, &problem, &page));
    assert!(!is_valid(Method::GET, list, 200, &[(CONTENT_TYPE.as_str(), "text/html")], &page));
    assert!(!is_valid(Method::GET, list, 200, &[], &Value::Null));
    assert!(!is_valid(Method::GET, list, 200, &[], &page));
    assert!(!is_valid(Method::GET, list, 200, &json, &json!({"data": [{"workspace": "w1"}]})));
    assert!(!is_valid(
        Method::GET,
        list,
        200,
        &json,
        &json!({"data": [{"workspace": 7, "name": "", "role": "king"}]})
    ));
    let rule = "/v1/workspaces/demo/rules/r1";
    assert!(is_valid(Method::DELETE, rule, 204, &[], &Value::Null));
    assert!(!is_valid(Method::DELETE, rule, 204, &json, &json!({})));

    let refusal = |status: u16, kind: &str| {
        json!({"type": format!("urn:adflight:{kind}"), "title": "t", "status": status, "detail": "d",
               "correlation": "9084b8652f3b3e68e6045c05"})
    };
    let session = [problem[0], ("www-authenticate", "Bearer")];
    assert!(is_valid(Method::GET, list, 401, &session, &refusal(401, "unauthorized")));
    // A missing required header, another kind of problem, a problem with another status.
    assert!(!is_valid(Method::GET, list, 401, &problem, &refusal(401, "unauthorized")));
    assert!(!is_valid(Method::GET, list, 401, &session, &refusal(401, "invalid-input")));
    assert!(!is_valid(Method::GET, list, 401, &session, &refusal(403, "unauthorized")));
    assert!(!is_valid(Method::GET, list, 418, &problem, &refusal(418, "teapot")));
    // An unknown path may only respond with 404.
    assert!(is_valid(Method::GET, "/v1/nowhere", 404, &problem, &refusal(404, "not-found")));
    assert!(!is_valid(Method::GET, "/v1/nowhere", 200, &json, &json!({})));
    assert!(!is_valid(Method::PUT, list, 200, &json, &made));
}

#[test]
fn the_examples_of_openapi_yaml_are_as_it_says() {
    let document = std::fs::read_to_string("../../openapi.yaml").unwrap();
    let document: Value = serde_yaml_ng::from_str(&document).unwrap();
    let headers = [(CONTENT_TYPE.as_str(), "application/json"), ("location", "/v1/launches/1")];
    let mut examples = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let example = &response["content"]["application/json"]["example"];
                if example.is_null() {
                    continue;
                }
                let method: Method = method.to_uppercase().parse().unwrap();
                let valid = is_valid(method, path, status.parse().unwrap(), &headers, example);
                assert!(valid, "{path} {status}; run `cargo xtask openapi --record`");
                examples += 1;
            }
        }
    }
    assert!(examples > 40, "{examples}");
}
