//! Meta's asynchronous processing of an object after a change: processing, then, for ads, a review.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::event::{AccountEvent, AccountEventKind, Issue, level};
use crate::media::video;
use crate::node::Kind;
use crate::world::World;
use crate::write_settings::WriteSettings;

/// The processing state of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ProcessingState {
    /// Nothing is pending: the object's status applies.
    #[default]
    Idle,
    /// An ad that failed its review.
    Disapproved,
    /// An ad under review until this time.
    InReview(Timestamp),
    /// In process until this time.
    InProcess(Timestamp, AfterProcessing),
    /// A video being encoded until this time; the flag says whether encoding then fails.
    Encoding(Timestamp, bool),
}

/// The state that follows processing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterProcessing {
    Idle,
    Disapproved,
    Review,
}

/// The decision of a review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReviewDecision {
    /// The ad may run.
    Approved,
    /// The ad may not run, for this reason.
    Disapproved(String),
}

/// Objects whose state ends at a known time, earliest first.
pub(crate) type Deadlines = BTreeSet<(Timestamp, String)>;

impl World {
    /// Begins the processing of a new or changed object; a review follows if the ad's content or audience changed.
    pub(crate) fn begin_processing(&mut self, id: &str, reviewed: bool, now: Timestamp) {
        let Some(node) = self.nodes.get_mut(id).filter(|node| level(node.kind).is_some()) else { return };
        let next = match node.processing {
            _ if reviewed && node.kind == Kind::Ad => AfterProcessing::Review,
            ProcessingState::InReview(_) | ProcessingState::InProcess(_, AfterProcessing::Review) => {
                AfterProcessing::Review
            }
            ProcessingState::Disapproved | ProcessingState::InProcess(_, AfterProcessing::Disapproved) => {
                AfterProcessing::Disapproved
            }
            _ => AfterProcessing::Idle,
        };
        let WriteSettings { in_process, .. } = self.writing;
        if in_process.is_zero() {
            return self.finish_processing(id, next, now);
        }
        if node.kind == Kind::Creative {
            node.fields.insert("status".into(), json!("IN_PROCESS"));
        }
        self.enter_state(id, now + in_process, |until| ProcessingState::InProcess(until, next));
    }

    /// Applies all state changes that are due by now. Called before a response is built.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.deadlines.first().cloned() {
            if at > now {
                break;
            }
            self.deadlines.pop_first();
            match self.nodes.get(&id).map(|node| node.processing) {
                Some(ProcessingState::InProcess(until, next)) if until == at => {
                    self.finish_processing(&id, next, at);
                    self.emit_processed(&id, at);
                }
                Some(ProcessingState::InReview(until)) if until == at => self.finish_review(&id, None),
                Some(ProcessingState::Encoding(until, fails)) if until == at => {
                    video::finish(self, &id, fails)
                }
                // The state was replaced in the meantime.
                _ => {}
            }
        }
    }

    /// Ends an ad's review; without a decision the ad's name determines it.
    pub(crate) fn finish_review(&mut self, id: &str, decision: Option<ReviewDecision>) {
        let marker = self.writing.disapproved_name_marker.clone();
        let Some(node) = self.nodes.get_mut(id).filter(|node| node.kind == Kind::Ad) else { return };
        let named = || {
            let name = node.text("name").unwrap_or_default();
            marker.filter(|marker| name.contains(marker.as_str()))
        };
        let reason = match decision {
            Some(ReviewDecision::Approved) => None,
            Some(ReviewDecision::Disapproved(reason)) => Some(reason),
            None => named().map(|_| "The name of the ad asks for it.".to_owned()),
        };
        match reason {
            None => {
                node.processing = ProcessingState::Idle;
                node.fields.remove("ad_review_feedback");
            }
            Some(reason) => {
                node.processing = ProcessingState::Disapproved;
                node.fields.insert("ad_review_feedback".into(), json!({ "global": { "POLICY": reason } }));
            }
        }
    }

    /// Sets an issue that keeps an object from delivering, or clears its issues.
    pub(crate) fn set_issue(&mut self, id: &str, issue: Option<Issue>, now: Timestamp) {
        let Some(node) = self.nodes.get_mut(id).filter(|node| node.kind.delivers()) else { return };
        let Some(level) = level(node.kind) else { return };
        let Some(issue) = issue else {
            node.fields.remove("issues_info");
            return;
        };
        // The recorded status does not reflect the issue.
        node.fields.remove("effective_status");
        let issues = json!([{
            "level": level,
            "error_code": issue.code,
            "error_summary": issue.summary,
            "error_message": issue.message,
            "error_type": "HARD_ERROR",
        }]);
        node.fields.insert("issues_info".into(), issues);
        let account = node.account.clone();
        let kind = AccountEventKind::IssueAdded(issue);
        self.events.push(AccountEvent { account, id: id.to_owned(), level, kind, at: now });
    }

    /// Returns whether an object is still being processed, so that some calls to it fail.
    pub(crate) fn is_in_process(&self, id: &str) -> bool {
        self.nodes.get(id).is_some_and(|node| matches!(node.processing, ProcessingState::InProcess(..)))
    }

    fn finish_processing(&mut self, id: &str, next: AfterProcessing, now: Timestamp) {
        // A creative has a single status, which also shows its processing.
        if let Some(node) = self.nodes.get_mut(id).filter(|node| node.text("status") == Some("IN_PROCESS")) {
            node.fields.insert("status".into(), json!("ACTIVE"));
        }
        let WriteSettings { review, .. } = self.writing;
        match next {
            AfterProcessing::Review if review.is_zero() => self.finish_review(id, None),
            AfterProcessing::Review => self.enter_state(id, now + review, ProcessingState::InReview),
            AfterProcessing::Disapproved => self.set_processing_state(id, ProcessingState::Disapproved),
            AfterProcessing::Idle => self.set_processing_state(id, ProcessingState::Idle),
        }
    }

    /// Puts an object into a state that ends at `until`.
    pub(crate) fn enter_state(
        &mut self,
        id: &str,
        until: Timestamp,
        state: impl FnOnce(Timestamp) -> ProcessingState,
    ) {
        self.set_processing_state(id, state(until));
        self.deadlines.insert((until, id.to_owned()));
    }

    fn set_processing_state(&mut self, id: &str, state: ProcessingState) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.processing = state;
        }
    }

    fn emit_processed(&mut self, id: &str, at: Timestamp) {
        let Some(node) = self.nodes.get(id) else { return };
        let Some(level) = level(node.kind) else { return };
        let kind = AccountEventKind::Processed { status: self.effective_status(node) };
        self.events.push(AccountEvent { account: node.account.clone(), id: id.to_owned(), level, kind, at });
    }
}

/// Returns whether a node has issues that keep it from delivering.
pub(crate) fn has_issues(issues: Option<&Value>) -> bool {
    issues.and_then(Value::as_array).is_some_and(|issues| !issues.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::tz::TimeZone;
    use serde_json::{Map, json};

    use super::*;
    use crate::world;

    fn ad(name: &str) -> (World, String, Timestamp) {
        let mut world = World::new(world::account("1", "Main", "SGD", "UTC", TimeZone::UTC));
        world.writing.in_process = Duration::from_secs(10);
        world.writing.review = Duration::from_secs(60);
        world.writing.disapproved_name_marker = Some("[no]".into());
        let mut fields = Map::new();
        fields.insert("name".into(), json!(name));
        let id = world.create(Kind::Ad, "1", fields);
        (world, id, "2026-11-20T02:00:00Z".parse().unwrap())
    }

    fn effective(world: &World, id: &str) -> String {
        world.effective_status(&world.nodes[id])
    }

    #[test]
    fn a_new_ad_is_processed_then_reviewed() {
        let (mut world, id, now) = ad("Good");
        world.begin_processing(&id, true, now);
        world.advance(now + Duration::from_secs(9));
        assert_eq!(effective(&world, &id), "IN_PROCESS");
        world.advance(now + Duration::from_secs(69));
        assert_eq!(effective(&world, &id), "PENDING_REVIEW");
        let expected = AccountEventKind::Processed { status: "PENDING_REVIEW".into() };
        assert_eq!(world.events.iter().map(|event| &event.kind).collect::<Vec<_>>(), [&expected]);
        world.advance(now + Duration::from_secs(70));
        assert_eq!(effective(&world, &id), "ACTIVE");
    }

    #[test]
    fn a_name_can_fail_the_review_and_another_name_does_not_undo_that() {
        let (mut world, id, now) = ad("Bad [no]");
        world.begin_processing(&id, true, now);
        world.advance(now + Duration::from_secs(200));
        assert_eq!(effective(&world, &id), "DISAPPROVED");
        world.nodes.get_mut(&id).unwrap().fields.insert("name".into(), json!("Good"));
        let later = now + Duration::from_secs(300);
        world.begin_processing(&id, false, later);
        world.advance(later + Duration::from_secs(200));
        assert_eq!(effective(&world, &id), "DISAPPROVED");
        world.finish_review(&id, Some(ReviewDecision::Approved));
        assert_eq!(effective(&world, &id), "ACTIVE");
    }

    #[test]
    fn a_second_edit_prolongs_the_processing() {
        let (mut world, id, now) = ad("Good");
        world.begin_processing(&id, true, now);
        world.begin_processing(&id, false, now + Duration::from_secs(5));
        world.advance(now + Duration::from_secs(12));
        assert_eq!(effective(&world, &id), "IN_PROCESS");
        world.advance(now + Duration::from_secs(15));
        assert_eq!((effective(&world, &id).as_str(), world.events.len()), ("PENDING_REVIEW", 1));
    }

    #[test]
    fn an_issue_shows_while_the_object_would_run() {
        let (mut world, id, now) = ad("Good");
        let issue = Issue { code: 1815869, summary: "s".into(), message: "m".into() };
        world.set_issue(&id, Some(issue), now);
        assert_eq!(effective(&world, &id), "WITH_ISSUES");
        world.set_status(&id, "PAUSED");
        assert_eq!(effective(&world, &id), "PAUSED");
        world.set_status(&id, "ACTIVE");
        world.set_issue(&id, None, now);
        assert_eq!(effective(&world, &id), "ACTIVE");
    }
}
