//! What goes wrong is told at length, but never with a secret in it.

use std::fmt::Debug;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use ads::date::DateRange;
use ads::object::Level;
use graph_api::batch::Item;
use graph_api::insights::Portion;
use graph_api::oauth::{Asked, SCOPES};
use graph_api::{Allowance, GraphError};
use graph_sim::{FaultPlan, Place};
use hmac::{Hmac, KeyInit, Mac};
use jiff::civil::date;
use secrecy::SecretString;
use serde_json::Value;
use sha2::Sha256;
use tracing_subscriber::EnvFilter;

use crate::support::{Meta, SECRET};

/// Everything that was said.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    fn of(&self, thing: impl Debug) {
        writeln!(self.0.lock().unwrap(), "{thing:?}").unwrap();
    }

    fn error<T>(&self, outcome: Result<T, GraphError>) -> Option<T> {
        outcome.map_err(|error| self.of((&error, error.to_string()))).ok()
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Does a little of everything.
async fn work(meta: &Meta, heard: &Heard) {
    let allowance = Arc::new(Allowance::default());
    let caller = meta.caller();
    heard.of((&caller, &meta.graph, meta.graph.config(), caller.clone().within(allowance)));
    heard.of(heard.error(caller.permissions().await));
    heard.error(caller.create::<Value>(&format!("{}/campaigns", meta.account()), &[("name", "x")]).await);
    let items = [Item::get("me", Vec::new()), Item::get(format!("{}/ads", meta.account()), Vec::new())];
    for outcome in caller.batch::<Value>(&items).await {
        heard.of(heard.error(outcome));
    }
    heard.error(caller.videos(&meta.account()).await);
    let mut pages = caller.objects(&meta.account(), Level::Ad).of_size(10);
    for _ in 0..4 {
        heard.error(pages.next().await);
        heard.of((&pages, pages.cursor()));
    }
    let range = DateRange { since: date(2026, 11, 13), until: date(2026, 11, 19) };
    let mut days = caller.ad_days(&meta.account(), range, Portion { rows: 20, ..Portion::default() });
    for _ in 0..4 {
        heard.error(days.next().await);
    }
    heard.of(&days);
    let token = SecretString::from(meta.token.clone());
    heard.of(heard.error(meta.graph.debug_token(&token).await));
    heard.of(heard.error(meta.graph.extend(&token).await));
    heard.error(meta.graph.exchange_code("no-such-code", "http://127.0.0.1/back").await);
    heard.of(meta.graph.authorize_url("http://127.0.0.1/back", "state", Asked::Scopes(&SCOPES)));
}

#[tokio::test]
async fn no_secret_is_told_whatever_goes_wrong() {
    let heard = Heard::default();
    let writer = heard.clone();
    let subscriber = tracing_subscriber::fmt()
        // The simulator is no part of what is shipped.
        .with_env_filter(EnvFilter::new("trace,graph_sim=off"))
        .with_writer(move || writer.clone())
        .finish();
    // For every thread: what other tests say is heard too, and does no harm.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let mut secrets = vec![SECRET.to_owned()];
    let patient = |name: &str| name != "no answer ever";
    for case in FaultPlan::each().into_iter().filter(|case| patient(case.name)) {
        let plan = case.plan.at(&Place::default());
        let meta = Meta::with(|config| config.faults = plan).await;
        work(&meta, &heard).await;
        let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(&meta.token);
        secrets.extend([meta.token.clone(), hex::encode(mac.finalize().into_bytes())]);
    }
    let text = heard.text();
    for said in ["Graph answered.", "TryLater", "Reconnect", "UnknownOutcome"] {
        assert!(text.contains(said), "{said}");
    }
    for secret in secrets {
        let at = text.find(&secret);
        assert!(at.is_none(), "…{}…", at.map_or("", |at| &text[at.saturating_sub(200)..at]));
    }
}
