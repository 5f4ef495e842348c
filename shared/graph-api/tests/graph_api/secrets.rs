//! Checks that logs and errors are detailed but contain no secret.

use std::fmt::Debug;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use domain::date::DateRange;
use domain::entity::Level;
use graph_api::batch::Item;
use graph_api::insights::QueryShape;
use graph_api::oauth::{AuthorizationRequest, SCOPES};
use graph_api::{GraphError, QuotaLease};
use graph_sim::{FaultKind, FaultPlan, RequestMatcher, Trigger};
use hmac::{Hmac, KeyInit, Mac};
use jiff::civil::date;
use secrecy::SecretString;
use serde_json::Value;
use sha2::Sha256;
use tracing_subscriber::EnvFilter;

use crate::support::{Meta, SECRET};

/// All logs and all recorded values.
#[derive(Clone, Default)]
struct CapturedOutput(Arc<Mutex<Vec<u8>>>);

impl CapturedOutput {
    fn record(&self, thing: impl Debug) {
        writeln!(self.0.lock().unwrap(), "{thing:?}").unwrap();
    }

    fn error<T>(&self, outcome: Result<T, GraphError>) -> Option<T> {
        outcome.map_err(|error| self.record((&error, error.to_string()))).ok()
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for CapturedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes one call of each kind and records the results.
async fn work(meta: &Meta, captured: &CapturedOutput) {
    let quota_lease = Arc::new(QuotaLease::default());
    let caller = meta.caller();
    captured.record((
        &caller,
        &meta.graph,
        meta.graph.config(),
        caller.clone().with_quota_lease(quota_lease),
    ));
    captured.record(captured.error(caller.permissions().await));
    captured.error(caller.create::<Value>(&format!("{}/campaigns", meta.account()), &[("name", "x")]).await);
    let items = [Item::get("me", Vec::new()), Item::get(format!("{}/ads", meta.account()), Vec::new())];
    for outcome in caller.batch::<Value>(&items).await {
        captured.record(captured.error(outcome));
    }
    captured.error(caller.videos(&meta.account()).all().await);
    let mut pages = caller.entities(&meta.account(), Level::Ad).with_page_size(10);
    for _ in 0..4 {
        captured.error(pages.next().await);
        captured.record((&pages, pages.cursor()));
    }
    let range = DateRange { since: date(2026, 11, 13), until: date(2026, 11, 19) };
    let mut days = caller.insights(&meta.account(), range, QueryShape { rows: 20, ..QueryShape::default() });
    for _ in 0..4 {
        captured.error(days.next().await);
    }
    captured.record(&days);
    let token = SecretString::from(meta.token.clone());
    captured.record(captured.error(meta.graph.debug_token(&token).await));
    captured.record(captured.error(meta.graph.extend(&token).await));
    captured.error(meta.graph.exchange_code("no-such-code", "http://127.0.0.1/back").await);
    captured.record(meta.graph.authorize_url(
        "http://127.0.0.1/back",
        "state",
        AuthorizationRequest::Scopes(&SCOPES),
    ));
}

#[tokio::test]
async fn no_secret_is_logged_whatever_goes_wrong() {
    let captured = CapturedOutput::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        // The simulator is not shipped.
        .with_env_filter(EnvFilter::new("trace,graph_sim=off"))
        .with_writer(move || writer.clone())
        .finish();
    // The subscriber is global: the output of other tests is captured too, which does no harm.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let mut secrets = vec![SECRET.to_owned()];
    let patient = |name: &str| name != "no response";
    let cases = FaultPlan::all_cases().into_iter().filter(|case| patient(case.name)).map(|case| case.plan);
    let lasting = FaultPlan::single(Trigger::default(), RequestMatcher::default(), FaultKind::Html);
    for plan in cases.chain([lasting]) {
        let plan = plan.with_matcher(&RequestMatcher::default());
        let meta = Meta::with(|config| config.faults = plan).await;
        work(&meta, &captured).await;
        let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(&meta.token);
        secrets.extend([meta.token.clone(), hex::encode(mac.finalize().into_bytes())]);
    }
    let text = captured.text();
    for said in ["Graph answered.", "Transient", "Reconnect", "Indeterminate"] {
        assert!(text.contains(said), "{said}");
    }
    for secret in secrets {
        let at = text.find(&secret);
        assert!(at.is_none(), "…{}…", at.map_or("", |at| &text[at.saturating_sub(200)..at]));
    }
}
