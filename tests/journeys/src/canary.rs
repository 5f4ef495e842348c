//! Canaries: secrets of the running system, looked for wherever something could carry one away: log lines of the lowest
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
use local::hearing::Heard;
use reqwest::Url;
use runtime::telemetry::json_lines;
use serde_json::Value;
use tracing::Dispatch;
use tracing::dispatcher::{DefaultGuard, get_default, set_default};
use tracing::subscriber::NoSubscriber;

/// How every token of the simulated Meta begins: a prefix, and the base64 of a JSON object.
const TOKEN: &str = "EAASeyJ";

/// How sessions begin: the base64 of a header whose first field is one of these.
const SESSIONS: [&str; 3] = [r#"{"typ""#, r#"{"alg""#, r#"{"kid""#];

/// While only one subscriber lives, `tracing` asks the thread that first comes to a line whether anybody wants it,
/// for all threads and for good. With these two there is never one alone.
static COMPANY: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [NoSubscriber::default(), NoSubscriber::default()].map(Dispatch::new));

/// Lets every thread decide for itself who hears it.
pub fn keep_company() {
    LazyLock::force(&COMPANY);
}

/// Where something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A log line.
    Line,
    /// A call to AWS: what is written into table, queues, schedules.
    Call,
    /// The table as it lies there in the end.
    Table,
    /// A message or a schedule as it lies there.
    Queue,
    /// A request to one of our functions.
    Request,
    /// Its answer.
    Answer,
    /// The URL of a call to Meta.
    GraphUrl,
}

/// The secrets of one system, and what could carry them away.
#[derive(Clone)]
pub struct Canaries(Arc<Mutex<Seen>>);

struct Seen {
    /// Every form of every secret, and its name.
    forms: BTreeMap<String, &'static str>,
    /// Kept to the end, since some secrets are made on the way.
    texts: Vec<(Place, String)>,
    /// Where a story puts secrets itself.
    pardoned: BTreeSet<Place>,
}

impl Default for Canaries {
    fn default() -> Self {
        let (forms, texts, pardoned) = Default::default();
        let canaries = Self(Arc::new(Mutex::new(Seen { forms, texts, pardoned })));
        canaries.add("a token", TOKEN);
        for header in SESSIONS {
            canaries.add("a session", &URL_SAFE_NO_PAD.encode(header));
        }
        canaries
    }
}

impl Canaries {
    /// Looks for this, too, in all that was and will be heard.
    pub fn add(&self, name: &'static str, secret: &str) {
        self.seen(|seen| seen.forms.extend(forms(secret).into_iter().map(|form| (form, name))));
    }

    /// Looks for every key of a keyring.
    pub fn add_keyring(&self, document: &str) {
        let document: BTreeMap<String, Value> = serde_json::from_str(document).unwrap_or_default();
        for key in document.values().filter_map(Value::as_str).filter(|key| key.len() >= 32) {
            self.add("a key of the keyring", key);
        }
    }

    /// Expects secrets in this place, for the story puts them there itself, in vain.
    pub fn pardon(&self, place: Place) {
        self.seen(|seen| seen.pardoned.insert(place));
    }

    /// Looks into a text.
    pub fn hear(&self, place: Place, text: impl Into<String>) {
        self.seen(|seen| seen.texts.push((place, text.into())));
    }

    /// Looks into the path and query of a call to Meta.
    pub fn hear_graph(&self, url: &str) {
        let inspects = url.split('?').next().is_some_and(|path| path.ends_with("/debug_token"));
        self.hear(Place::GraphUrl, without(url, if inspects { &["input_token"] } else { &[] }));
    }

    /// Looks into what passes through the system.
    pub fn passes(&self, heard: &Heard<'_>) {
        match heard {
            Heard::Call { service, uri, body } => {
                let mut body: Value = serde_json::from_str(body).unwrap_or_else(|_| (*body).into());
                // Where the keys are kept.
                if let Some(Value::String(kept)) =
                    body.as_object_mut().and_then(|body| body.remove("SecretString"))
                {
                    self.add_keyring(&kept);
                }
                self.hear(Place::Call, format!("{service} {uri} {body}"));
            }
            Heard::Request(request) => {
                let uri = &request.uri;
                let of_protocol: &[&str] = match uri.path() {
                    "/v1/auth/meta/callback" => &["code", "state"],
                    "/v1/webhooks/meta" => &["hub.verify_token"],
                    _ => &[],
                };
                if let [code @ "code", ..] = of_protocol {
                    self.add_parameter("a login's code", &format!("http://here{uri}"), code);
                }
                let uri = without(&uri.to_string(), of_protocol);
                self.hear(Place::Request, format!("{} {uri}", request.method));
            }
            Heard::Answer { request, headers: heard_headers, body, .. } => {
                let mut headers = (*heard_headers).clone();
                let cookies =
                    heard_headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
                for (name, rest) in cookies.filter_map(|cookie| cookie.split_once('=')) {
                    let (value, rest) = rest.split_once(';').unwrap_or((rest, ""));
                    self.add_random("a cookie", value);
                    self.hear(Place::Answer, format!("{name} {rest}"));
                }
                headers.remove(SET_COOKIE);
                let mut text = String::from_utf8_lossy(body).into_owned();
                // What lets the page of the ad accounts choose.
                if let Some((before, rest)) = text.split_once(r#"name="choice" value=""#) {
                    let (secret, after) = rest.split_once('"').unwrap_or_default();
                    self.add_random("a page's secret", secret);
                    text = format!("{before}{after}");
                }
                let dialog = serde_json::from_str::<Value>(&text).unwrap_or_default();
                if let Some(dialog) = dialog["authorize_url"].as_str() {
                    self.add_parameter("a login's state", dialog, "state");
                    text = text.replace(dialog, &without(dialog, &["state"]));
                }
                self.hear(Place::Answer, format!("{} {headers:?} {text}", request.method));
            }
        }
    }

    fn add_parameter(&self, name: &'static str, url: &str, parameter: &str) {
        let Ok(url) = url.parse::<Url>() else { return };
        if let Some((_, value)) = url.query_pairs().find(|(known, _)| known == parameter) {
            self.add_random(name, &value);
        }
    }

    /// A secret that was made on the way. What is shorter is an empty one, or what a story made up.
    fn add_random(&self, name: &'static str, secret: &str) {
        if secret.len() >= 32 {
            self.add(name, secret);
        }
    }

    /// Looks into the lines of this thread, unless somebody listens to them already.
    pub fn listen(&self) -> Option<DefaultGuard> {
        keep_company();
        if get_default(|dispatch| !dispatch.is::<NoSubscriber>()) {
            return None;
        }
        let canaries = self.clone();
        let lines = json_lines("debug,graph_sim=off", move |line: &str| canaries.hear(Place::Line, line));
        Some(set_default(&Dispatch::new(lines)))
    }

    /// Nothing secret was in what was heard, and there was something to hear in each of these places.
    pub fn assert_silent(&self, places: &[Place]) -> anyhow::Result<()> {
        self.seen(|seen| {
            for place in places {
                let heard = seen.texts.iter().any(|(of, _)| of == place);
                ensure!(heard, "the canaries heard nothing of {place:?}");
            }
            let (forms, names): (Vec<&String>, Vec<&str>) = seen.forms.iter().unzip();
            let secrets = AhoCorasick::new(&forms).context("the canaries")?;
            let texts = seen.texts.iter().filter(|(place, _)| !seen.pardoned.contains(place));
            let found = texts.flat_map(|(place, text)| {
                let names = &names;
                secrets.find_iter(text).map(move |found| {
                    let name = names[found.pattern().as_usize()];
                    (format!("{name} in {place:?}"), around(text, found.range()))
                })
            });
            let found: BTreeMap<String, &str> = found.collect();
            ensure!(found.is_empty(), "secrets escaped: {found:#?}");
            Ok(())
        })
    }

    fn seen<T>(&self, what: impl FnOnce(&mut Seen) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A text around a place, on a few lines.
fn around(text: &str, range: std::ops::Range<usize>) -> &str {
    const REACH: usize = 200;
    let start = (0..=range.start.saturating_sub(REACH)).rev().find(|at| text.is_char_boundary(*at));
    let end = (range.end + REACH..text.len()).find(|at| text.is_char_boundary(*at));
    &text[start.unwrap_or_default()..end.unwrap_or(text.len())]
}

/// A URL without the values of these parameters.
fn without(url: &str, parameters: &[&str]) -> String {
    let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
    let kept = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if parameters.contains(&name) => name,
        _ => pair,
    });
    format!("{path}?{}", kept.collect::<Vec<_>>().join("&"))
}

/// What a secret may look like on its way: as it is, percent-encoded, in base64 at whatever place of a longer text, in
/// hex; and so its bytes, when it is itself the text of some.
fn forms(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned()];
    let percent = secret.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    let percent: String = percent.collect();
    all.extend([lower_escapes(&percent), percent]);
    all.extend(encoded(secret.as_bytes()));
    let bytes = [hex::decode(secret).ok(), URL_SAFE_NO_PAD.decode(secret).ok()];
    let bytes = bytes.into_iter().flatten().filter(|bytes| bytes.len() >= 16);
    all.extend(bytes.flat_map(|bytes| encoded(&bytes)));
    all.sort();
    all.dedup();
    all
}

fn lower_escapes(percent: &str) -> String {
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
