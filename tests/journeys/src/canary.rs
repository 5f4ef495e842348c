//! Canaries: secrets of the running system, looked for wherever something could carry one away: log lines of the lowest
//! level, answers, and everything that is written into table, queues and schedules.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use local::calls::Hearing;
use runtime::telemetry::json_lines;
use tracing::Dispatch;
use tracing::dispatcher::{DefaultGuard, get_default, set_default};
use tracing::subscriber::NoSubscriber;

/// How every token of the simulated Meta begins.
const TOKEN: &str = "EAAS";

/// While only one subscriber lives, `tracing` asks the thread that first comes to a line whether anybody wants it,
/// for all threads and for good. With these two there is never one alone.
static COMPANY: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [NoSubscriber::default(), NoSubscriber::default()].map(Dispatch::new));

/// Lets every thread decide for itself who hears it.
pub fn keep_company() {
    LazyLock::force(&COMPANY);
}

/// The secrets of one system, and where they were seen.
#[derive(Clone)]
pub struct Canaries(Arc<Mutex<Seen>>);

struct Seen {
    secrets: Vec<(&'static str, String)>,
    places: Vec<String>,
    looked: usize,
}

impl Default for Canaries {
    fn default() -> Self {
        let secrets = vec![("a token", TOKEN.to_owned())];
        Self(Arc::new(Mutex::new(Seen { secrets, places: Vec::new(), looked: 0 })))
    }
}

impl Canaries {
    /// Looks for this, too, from now on.
    pub fn add(&self, name: &'static str, secret: &str) {
        self.seen(|seen| seen.secrets.push((name, secret.to_owned())));
    }

    /// Looks for all of them in a text.
    pub fn look(&self, place: &str, text: &str) {
        self.seen(|seen| {
            seen.looked += 1;
            let found = seen.secrets.iter().filter(|(_, secret)| text.contains(secret.as_str()));
            let found: Vec<_> = found.map(|(name, _)| format!("{name} in {place}: {text}")).collect();
            seen.places.extend(found);
        });
    }

    /// Looks into everything that is written into the embedded AWS.
    pub fn hearing(&self) -> Hearing {
        let canaries = self.clone();
        Hearing(Arc::new(move |body| canaries.look("a call to AWS", body)))
    }

    /// Looks into the lines of this thread, unless somebody listens to them already.
    pub fn listen(&self) -> Option<DefaultGuard> {
        keep_company();
        if get_default(|dispatch| !dispatch.is::<NoSubscriber>()) {
            return None;
        }
        let canaries = self.clone();
        let lines = json_lines("debug,graph_sim=off", move |line: &str| canaries.look("a line", line));
        Some(set_default(&Dispatch::new(lines)))
    }

    /// How many texts were looked into, and where a secret was seen.
    pub fn places(&self) -> (usize, Vec<String>) {
        self.seen(|seen| (seen.looked, seen.places.clone()))
    }

    fn seen<T>(&self, what: impl FnOnce(&mut Seen) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
