//! Finds secrets of the running system wherever something could carry one away: log lines of the lowest
//! level, requests and answers, everything that is written into table, queues and schedules, and every URL that Meta
//! is asked.
//!
//! Where a secret belongs it is not looked for: keys in Secrets Manager, cookies in `Set-Cookie`, a page's secret in its form. Three URLs
//! carry one because Meta knows no other way: `debug_token` takes the token to inspect as `input_token`; a login's `state`
//! and `code` come and go with the browser; and the handshake of webhooks repeats the verify token.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use aho_corasick::AhoCorasick;
use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::header::SET_COOKIE;
use local::observer::Observation;
use reqwest::Url;
use runtime::telemetry::json_lines;
use serde_json::Value;
use tracing::Dispatch;
use tracing::dispatcher::{DefaultGuard, get_default, set_default};
use tracing::subscriber::NoSubscriber;

/// How every token of the simulated Meta begins: a prefix, and the base64 of a JSON object.
const TOKEN_PREFIX: &str = "EAASeyJ";

/// How sessions begin: the base64 of a header whose first field is one of these.
const JWT_HEADER_PREFIXES: [&str; 3] = [r#"{"typ""#, r#"{"alg""#, r#"{"kid""#];

/// While only one subscriber lives, `tracing` asks the thread that first comes to a line whether anybody wants it,
/// for all threads and for good. With these two there is never one alone.
static EXTRA_DISPATCHERS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [NoSubscriber::default(), NoSubscriber::default()].map(Dispatch::new));

/// Lets every thread choose its own subscriber.
pub fn force_per_thread_dispatch() {
    LazyLock::force(&EXTRA_DISPATCHERS);
}

/// Where a secret could leak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeakChannel {
    /// A log line.
    LogLine,
    /// A call to AWS: what is written into table, queues, schedules.
    AwsCall,
    /// The table as it lies there in the end.
    Table,
    /// A message or a schedule as it lies there.
    Queue,
    /// A request to one of our functions.
    Request,
    /// Its answer.
    Response,
    /// The URL of a call to Meta.
    GraphUrl,
}

/// The secrets of one system, and what could carry them away.
#[derive(Clone)]
pub struct LeakScanner(Arc<Mutex<Recorded>>);

struct Recorded {
    /// Every form of every secret, and its name.
    encodings: BTreeMap<String, &'static str>,
    /// Kept to the end, since some secrets are made on the way.
    texts: Vec<(LeakChannel, String)>,
    /// Where a scenario puts secrets itself.
    allowed: BTreeSet<LeakChannel>,
}

impl Default for LeakScanner {
    fn default() -> Self {
        let (encodings, texts, allowed) = Default::default();
        let scanner = Self(Arc::new(Mutex::new(Recorded { encodings, texts, allowed })));
        scanner.add_secret("a token", TOKEN_PREFIX);
        for header in JWT_HEADER_PREFIXES {
            scanner.add_secret("a session", &URL_SAFE_NO_PAD.encode(header));
        }
        scanner
    }
}

impl LeakScanner {
    /// Looks for this, too, in all that was and will be recorded.
    pub fn add_secret(&self, name: &'static str, secret: &str) {
        self.with_recorded(|recorded| {
            recorded.encodings.extend(encodings_of(secret).into_iter().map(|form| (form, name)))
        });
    }

    /// Looks for every key of a keyring.
    pub fn add_keyring(&self, document: &str) {
        let document: BTreeMap<String, Value> = serde_json::from_str(document).unwrap_or_default();
        for key in document.values().filter_map(Value::as_str).filter(|key| key.len() >= 32) {
            self.add_secret("a key of the keyring", key);
        }
    }

    /// Accepts secrets in this channel, because the scenario puts them there itself.
    pub fn allow(&self, channel: LeakChannel) {
        self.with_recorded(|recorded| recorded.allowed.insert(channel));
    }

    /// Looks into a text.
    pub fn record(&self, channel: LeakChannel, text: impl Into<String>) {
        self.with_recorded(|recorded| recorded.texts.push((channel, text.into())));
    }

    /// Looks into the path and query of a call to Meta.
    pub fn record_graph_url(&self, url: &str) {
        let is_debug_token = url.split('?').next().is_some_and(|path| path.ends_with("/debug_token"));
        self.record(LeakChannel::GraphUrl, redact(url, if is_debug_token { &["input_token"] } else { &[] }));
    }

    /// Looks into what passes through the system.
    pub fn record_observation(&self, observation: &Observation<'_>) {
        match observation {
            Observation::Call { service, uri, body } => {
                let mut body: Value = serde_json::from_str(body).unwrap_or_else(|_| (*body).into());
                // Where the keys are kept.
                if let Some(Value::String(keyring)) =
                    body.as_object_mut().and_then(|body| body.remove("SecretString"))
                {
                    self.add_keyring(&keyring);
                }
                self.record(LeakChannel::AwsCall, format!("{service} {uri} {body}"));
            }
            Observation::Request(request) => {
                let uri = &request.uri;
                let protocol_parameters: &[&str] = match uri.path() {
                    "/v1/auth/meta/callback" => &["code", "state"],
                    "/v1/webhooks/meta" => &["hub.verify_token"],
                    _ => &[],
                };
                if let [code @ "code", ..] = protocol_parameters {
                    self.add_parameter("a login's code", &format!("http://here{uri}"), code);
                }
                let uri = redact(&uri.to_string(), protocol_parameters);
                self.record(LeakChannel::Request, format!("{} {uri}", request.method));
            }
            Observation::Response { request, headers: original_headers, body, .. } => {
                let mut headers = (*original_headers).clone();
                let cookies =
                    original_headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
                for (name, rest) in cookies.filter_map(|cookie| cookie.split_once('=')) {
                    let (value, rest) = rest.split_once(';').unwrap_or((rest, ""));
                    self.add_generated("a cookie", value);
                    self.record(LeakChannel::Response, format!("{name} {rest}"));
                }
                headers.remove(SET_COOKIE);
                let mut text = String::from_utf8_lossy(body).into_owned();
                // What lets the page of the ad accounts choose.
                if let Some((before, rest)) = text.split_once(r#"name="choice" value=""#) {
                    let (secret, after) = rest.split_once('"').unwrap_or_default();
                    self.add_generated("a page's secret", secret);
                    text = format!("{before}{after}");
                }
                let dialog = serde_json::from_str::<Value>(&text).unwrap_or_default();
                if let Some(dialog) = dialog["authorize_url"].as_str() {
                    self.add_parameter("a login's state", dialog, "state");
                    text = text.replace(dialog, &redact(dialog, &["state"]));
                }
                self.record(LeakChannel::Response, format!("{} {headers:?} {text}", request.method));
            }
        }
    }

    fn add_parameter(&self, name: &'static str, url: &str, parameter: &str) {
        let Ok(url) = url.parse::<Url>() else { return };
        if let Some((_, value)) = url.query_pairs().find(|(known, _)| known == parameter) {
            self.add_generated(name, &value);
        }
    }

    /// A secret that was made on the way. What is shorter is an empty one, or what a scenario made up.
    fn add_generated(&self, name: &'static str, secret: &str) {
        if secret.len() >= 32 {
            self.add_secret(name, secret);
        }
    }

    /// Records the log lines of this thread, unless another subscriber has them already.
    pub fn capture_logs(&self) -> Option<DefaultGuard> {
        force_per_thread_dispatch();
        if get_default(|dispatch| !dispatch.is::<NoSubscriber>()) {
            return None;
        }
        let scanner = self.clone();
        let lines =
            json_lines("debug,graph_sim=off", move |line: &str| scanner.record(LeakChannel::LogLine, line));
        Some(set_default(&Dispatch::new(lines)))
    }

    /// Fails when a secret was recorded, or when nothing was recorded in one of these channels.
    pub fn assert_no_leaks(&self, channels: &[LeakChannel]) -> anyhow::Result<()> {
        self.with_recorded(|recorded| {
            for channel in channels {
                let covered = recorded.texts.iter().any(|(of, _)| of == channel);
                ensure!(covered, "the leak scanner saw nothing in {channel:?}");
            }
            let (encodings, names): (Vec<&String>, Vec<&str>) = recorded.encodings.iter().unzip();
            let secrets = AhoCorasick::new(&encodings).context("the leak scanner")?;
            let texts = recorded.texts.iter().filter(|(channel, _)| !recorded.allowed.contains(channel));
            let found = texts.flat_map(|(channel, text)| {
                let names = &names;
                secrets.find_iter(text).map(move |found| {
                    let name = names[found.pattern().as_usize()];
                    (format!("{name} in {channel:?}"), excerpt(text, found.range()))
                })
            });
            let found: BTreeMap<String, &str> = found.collect();
            ensure!(found.is_empty(), "secrets escaped: {found:#?}");
            Ok(())
        })
    }

    fn with_recorded<T>(&self, action: impl FnOnce(&mut Recorded) -> T) -> T {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A text around a place, on a few lines.
fn excerpt(text: &str, range: std::ops::Range<usize>) -> &str {
    const CONTEXT_BYTES: usize = 200;
    let start = (0..=range.start.saturating_sub(CONTEXT_BYTES)).rev().find(|at| text.is_char_boundary(*at));
    let end = (range.end + CONTEXT_BYTES..text.len()).find(|at| text.is_char_boundary(*at));
    &text[start.unwrap_or_default()..end.unwrap_or(text.len())]
}

/// A URL without the values of these parameters.
fn redact(url: &str, parameters: &[&str]) -> String {
    let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if parameters.contains(&name) => name,
        _ => pair,
    });
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// What a secret may look like on its way: as it is, percent-encoded, in base64 at whatever place of a longer text, in
/// hex; and so its bytes, when it is itself the text of some.
fn encodings_of(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned()];
    let percent = secret.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    let percent: String = percent.collect();
    all.extend([lowercase_escapes(&percent), percent]);
    all.extend(encoded(secret.as_bytes()));
    let bytes = [hex::decode(secret).ok(), URL_SAFE_NO_PAD.decode(secret).ok()];
    let bytes = bytes.into_iter().flatten().filter(|bytes| bytes.len() >= 16);
    all.extend(bytes.flat_map(|bytes| encoded(&bytes)));
    all.sort();
    all.dedup();
    all
}

fn lowercase_escapes(percent: &str) -> String {
    let mut parts = percent.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        let (escape, rest) = part.split_at(2.min(part.len()));
        all + "%" + &escape.to_ascii_lowercase() + rest
    })
}

/// Bytes in hex, and in base64 wherever they begin: characters that also depend on their neighbours are left out.
fn encoded(bytes: &[u8]) -> Vec<String> {
    let hex = hex::encode(bytes);
    let mut all = vec![hex.to_ascii_uppercase(), hex];
    for (before, characters) in [(0, 0), (1, 2), (2, 3)] {
        let shifted = [&[0; 2][..before], bytes].concat();
        let end = shifted.len() * 8 / 6;
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            all.push(engine.encode(&shifted)[characters..end].to_owned());
        }
    }
    all
}
