//! Finds secrets of the running system wherever they could leak: log lines of the lowest level, requests and responses,
//! everything that is written to the table, queues and schedules, and every URL of a call to Meta.
//!
//! Places where a secret belongs are not scanned: keys in Secrets Manager, cookies in `Set-Cookie`, a page's secret in
//! its form. Three URLs carry a secret because Meta has no other way: `debug_token` takes the token to inspect as
//! `input_token`; a login's `state` and `code` pass through the browser; and the handshake of webhooks repeats the
//! verify token.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use aho_corasick::AhoCorasick;
use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::header::{LOCATION, SET_COOKIE};
use local::observer::Observation;
use reqwest::Url;
use runtime::telemetry::json_lines;
use serde_json::Value;
use tracing::Dispatch;
use tracing::dispatcher::{DefaultGuard, get_default, set_default};
use tracing::subscriber::NoSubscriber;

/// The beginning of every token of the simulated Meta: a prefix, and the base64 of a JSON object.
const TOKEN_PREFIX: &str = "EAASeyJ";

/// The beginnings of session tokens: the base64 of a header whose first field is one of these.
const JWT_HEADER_PREFIXES: [&str; 3] = [r#"{"typ""#, r#"{"alg""#, r#"{"kid""#];

/// While there is only one subscriber, `tracing` asks the thread that first reaches a log line whether anybody wants
/// it, and caches that for all threads. These two ensure that there is never only one.
static EXTRA_DISPATCHERS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [NoSubscriber::default(), NoSubscriber::default()].map(Dispatch::new));

/// Lets every thread choose its own subscriber.
pub fn force_per_thread_dispatch() {
    LazyLock::force(&EXTRA_DISPATCHERS);
}

/// A place where a secret could leak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeakChannel {
    /// A log line.
    LogLine,
    /// A call to AWS: writes to the table, queues and schedules.
    AwsCall,
    /// The table as it is at the end.
    Table,
    /// A message or a schedule as it is stored.
    Queue,
    /// A request to one of our functions.
    Request,
    /// A function's response.
    Response,
    /// The URL of a call to Meta.
    GraphUrl,
}

/// The secrets of one system, and the texts in which they could leak.
#[derive(Clone)]
pub struct LeakScanner(Arc<Mutex<EventRecord>>);

struct EventRecord {
    /// Every encoding of every secret, and its name.
    encodings: BTreeMap<String, &'static str>,
    /// Stored until the end, because some secrets become known later.
    texts: Vec<(LeakChannel, String)>,
    /// Channels in which a scenario puts secrets itself.
    allowed: BTreeSet<LeakChannel>,
}

impl Default for LeakScanner {
    fn default() -> Self {
        let (encodings, texts, allowed) = Default::default();
        let scanner = Self(Arc::new(Mutex::new(EventRecord { encodings, texts, allowed })));
        scanner.add_secret("a token", TOKEN_PREFIX);
        for header in JWT_HEADER_PREFIXES {
            scanner.add_secret("a session", &URL_SAFE_NO_PAD.encode(header));
        }
        scanner
    }
}

impl LeakScanner {
    /// Adds a secret, which is searched for in everything recorded before and after.
    pub fn add_secret(&self, name: &'static str, secret: &str) {
        self.with_recorded(|recorded| {
            recorded.encodings.extend(encodings_of(secret).into_iter().map(|form| (form, name)))
        });
    }

    /// Adds the secrets of the system that this one is a copy of.
    pub fn add_secrets_of(&self, other: &Self) {
        let encodings = other.with_recorded(|recorded| recorded.encodings.clone());
        self.with_recorded(|recorded| recorded.encodings.extend(encodings));
    }

    /// Adds every key of a keyring.
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

    /// Records a text.
    pub fn record(&self, channel: LeakChannel, text: impl Into<String>) {
        self.with_recorded(|recorded| recorded.texts.push((channel, text.into())));
    }

    /// Records the path and query of a call to Meta.
    pub fn record_graph_url(&self, url: &str) {
        let is_debug_token = url.split('?').next().is_some_and(|path| path.ends_with("/debug_token"));
        self.record(LeakChannel::GraphUrl, redact(url, if is_debug_token { &["input_token"] } else { &[] }));
    }

    /// Records an observation of the system.
    pub fn record_observation(&self, observation: &Observation<'_>) {
        match observation {
            Observation::Call { service, uri, body } => {
                let mut body: Value = serde_json::from_str(body).unwrap_or_else(|_| (*body).into());
                // Secrets Manager, where the keyring belongs.
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
                    "/v1/auth/meta/start" => &["ticket", "confirmation"],
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
                // The secret of the account selection page.
                if let Some((before, rest)) = text.split_once(r#"name="selection" value=""#) {
                    let (secret, after) = rest.split_once('"').unwrap_or_default();
                    self.add_generated("a page's secret", secret);
                    text = format!("{before}{after}");
                }
                let begun = serde_json::from_str::<Value>(&text).unwrap_or_default();
                if let Some(start_url) = begun["start_url"].as_str() {
                    self.add_parameter("a login's ticket", start_url, "ticket");
                    text = text.replace(start_url, &redact(start_url, &["ticket"]));
                }
                // The link of the page that asks whether to go on.
                if let Some((before, rest)) = text.split_once("?ticket=") {
                    let (_, after) = rest.split_once('"').unwrap_or_default();
                    text = format!("{before}{after}");
                }
                if let Some(dialog) = headers.remove(LOCATION) {
                    let dialog = String::from_utf8_lossy(dialog.as_bytes());
                    self.add_parameter("a login's state", &dialog, "state");
                    text += &redact(&dialog, &["state"]);
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

    /// Adds a generated secret. A shorter one is empty or made up by a scenario, and is ignored.
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

    fn with_recorded<T>(&self, action: impl FnOnce(&mut EventRecord) -> T) -> T {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns the text around a place, on a few lines.
fn excerpt(text: &str, range: std::ops::Range<usize>) -> &str {
    const CONTEXT_BYTES: usize = 200;
    let start = (0..=range.start.saturating_sub(CONTEXT_BYTES)).rev().find(|at| text.is_char_boundary(*at));
    let end = (range.end + CONTEXT_BYTES..text.len()).find(|at| text.is_char_boundary(*at));
    &text[start.unwrap_or_default()..end.unwrap_or(text.len())]
}

/// Returns a URL without the values of these parameters.
fn redact(url: &str, parameters: &[&str]) -> String {
    let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if parameters.contains(&name) => name,
        _ => pair,
    });
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// Returns the encodings of a secret: as it is, percent-encoded, in base64 at any offset of a longer text, in hex; and
/// those of the bytes that it encodes, when it is itself encoded.
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

/// Returns bytes in hex, and in base64 at every offset: characters that also depend on adjacent bytes are left out.
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
