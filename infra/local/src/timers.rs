//! EventBridge Scheduler, embedded: the library stores the schedules; this module adds what it lacks: the target's
//! input, the time zone, and firing.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::job::Job;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use runtime::Clock;
use serde::Deserialize;
use winterbaume_core::{MockRequest, MockResponse, MockService};
use winterbaume_scheduler::SchedulerService;

/// The schedules of the embedded cloud.
#[derive(Clone)]
pub struct Timers {
    service: Arc<SchedulerService>,
    timers: Arc<Mutex<BTreeMap<String, Timer>>>,
    clock: Clock,
}

/// A schedule with what is needed to fire it.
#[derive(Debug, Clone)]
pub struct Timer {
    /// When it fires next.
    pub due: Timestamp,
    /// The ARN of the queue that it sends to.
    pub queue_arn: String,
    /// The body of its message.
    pub input: String,
    /// The time between two firings; `None` fires once.
    pub period: Option<SignedDuration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScheduleBody {
    schedule_expression: String,
    schedule_expression_timezone: Option<String>,
    target: TargetBody,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TargetBody {
    arn: String,
    input: Option<String>,
}

impl Timers {
    /// Creates a service without schedules.
    pub fn new(clock: Clock) -> Self {
        Self { service: Arc::new(SchedulerService::new()), timers: Arc::default(), clock }
    }

    /// Returns every schedule, by name.
    pub fn all(&self) -> BTreeMap<String, Timer> {
        self.lock().clone()
    }

    /// Sends a job to a queue again and again, as a schedule of the template does. One of this name is left unchanged.
    pub(crate) fn set_recurring(
        &self,
        name: &str,
        period: SignedDuration,
        queue_arn: &str,
        job: &Job,
    ) -> serde_json::Result<()> {
        let (due, input) = (self.clock.now() + period, serde_json::to_string(job)?);
        let timer = Timer { due, queue_arn: queue_arn.to_owned(), input, period: Some(period) };
        self.lock().entry(name.to_owned()).or_insert(timer);
        Ok(())
    }

    /// Adds schedules of another system.
    pub(crate) fn restore(&self, timers: BTreeMap<String, Timer>) {
        self.lock().extend(timers);
    }

    /// Returns the schedules that are due, by name.
    pub fn due(&self) -> Vec<(String, Timer)> {
        let now = self.clock.now();
        let due =
            |(name, timer): (&String, &Timer)| (timer.due <= now).then(|| (name.clone(), timer.clone()));
        self.lock().iter().filter_map(due).collect()
    }

    /// Records that a schedule's message is in its queue: advances a recurring schedule to its next time, and deletes a
    /// one-time schedule, unless it was replaced since.
    pub async fn mark_fired(&self, name: &str, timer: &Timer) {
        let delete = {
            let mut timers = self.lock();
            match (timers.get_mut(name), timer.period) {
                (Some(current), _) if current.due != timer.due => false,
                (Some(current), Some(period)) => {
                    // Periods that were missed while nothing ran are made up for once, not one by one.
                    current.due = self.clock.now() + period;
                    false
                }
                (Some(_), None) => timers.remove(name).is_some(),
                (None, _) => false,
            }
        };
        if delete {
            let uri =
                format!("https://scheduler.us-east-1.amazonaws.com/schedules/{name}?groupName=adflight");
            let request = MockRequest {
                method: "DELETE".to_owned(),
                uri,
                headers: http::HeaderMap::new(),
                body: bytes::Bytes::new(),
            };
            self.service.handle(request).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Timer>> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store_schedule(&self, method: &str, name: &str, body: &[u8]) -> Result<(), String> {
        if method == "DELETE" {
            self.lock().remove(name);
            return Ok(());
        }
        let body: ScheduleBody = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let zone = body.schedule_expression_timezone.as_deref().unwrap_or("UTC");
        let zone = TimeZone::get(zone).map_err(|error| error.to_string())?;
        let due = time_of(&body.schedule_expression, zone)
            .ok_or_else(|| format!("schedule expression {} is not understood", body.schedule_expression))?;
        let input = body.target.input.unwrap_or_default();
        self.lock().insert(name.to_owned(), Timer { due, queue_arn: body.target.arn, input, period: None });
        Ok(())
    }
}

/// Returns when an expression fires. Functions only create schedules that fire once.
fn time_of(expression: &str, zone: TimeZone) -> Option<Timestamp> {
    let at: DateTime = expression.strip_prefix("at(")?.strip_suffix(')')?.parse().ok()?;
    zone.to_timestamp(at).ok()
}

impl MockService for Timers {
    fn service_name(&self) -> &str {
        self.service.service_name()
    }

    fn url_patterns(&self) -> Vec<&str> {
        self.service.url_patterns()
    }

    fn handle(&self, request: MockRequest) -> Pin<Box<dyn Future<Output = MockResponse> + Send + '_>> {
        Box::pin(async move {
            let path = request.uri.split('?').next().unwrap_or_default();
            let name = path.rsplit_once("/schedules/").map(|(_, name)| name.to_owned());
            let (method, body) = (request.method.clone(), request.body.clone());
            let answer = self.service.handle(request).await;
            let writes = matches!(method.as_str(), "POST" | "PUT" | "DELETE");
            if let Some(name) = name.filter(|_| writes && answer.status < 300)
                && let Err(message) = self.store_schedule(&method, &name, &body)
            {
                return MockResponse::rest_json(400, serde_json::json!({"Message": message}).to_string());
            }
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_parsed_as_on_aws() {
        let due = |expression: &str, zone: &str| {
            time_of(expression, TimeZone::get(zone).unwrap()).map(|due| due.to_string())
        };
        let at = "at(2026-12-01T09:00:00)";
        assert_eq!(due(at, "Asia/Singapore").as_deref(), Some("2026-12-01T01:00:00Z"));
        assert_eq!(due(at, "America/New_York").as_deref(), Some("2026-12-01T14:00:00Z"));
        assert_eq!(due("soon", "UTC"), None);
    }
}
