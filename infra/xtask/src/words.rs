//! Words of our own that the field has standard terms for: none of them may come back as an identifier.

use std::fs;

use anyhow::{Context, ensure};

use crate::{root, tools};

/// Identifiers that were replaced, each with its standard term.
const REPLACED: &[(&str, &str)] = &[
    ("Entrance", "Middleware"),
    ("Visit", "RequestContext"),
    ("Guest", "Principal"),
    ("Asker", "RateLimitKey"),
    ("asker", "rate_limit_key"),
    ("Pace", "RateLimiter"),
    ("take_requests", "acquire"),
    ("Repeat", "Idempotency"),
    ("own_way", "handles_own_idempotency"),
    ("KeptAnswer", "StoredResponse"),
    ("Reply", "Response"),
    ("reply", "response"),
    ("Failure", "Error"),
    ("Defect", "Internal"),
    ("may_pass", "is_retryable"),
    ("UnknownOutcome", "Indeterminate"),
    ("objection", "FieldError"),
    ("Reached", "AccountClient"),
    ("heed", "check_response"),
    ("Allowance", "QuotaLease"),
    ("Purse", "QuotaLease"),
    ("hear", "record_usage"),
    ("learn", "save"),
    ("Learnt", "QueryShape"),
    ("Portion", "QueryShape"),
    ("make_smaller", "split"),
    ("Piece", "SubQuery"),
    ("what_is_missing", "reconcile"),
    ("beat", "recurring job"),
    ("rhythm", "recurring job"),
    ("Unit", "UnitOfWork"),
    ("at_hand", "current"),
    ("heard", "capture"),
    ("Door", "WebhookReceiver"),
    ("TakenIn", "Accepted"),
    ("Taking", "Claim"),
    ("take_change", "claim"),
    ("Holder", "AccountRef"),
    ("holding", "connection index"),
    ("mirror", "sync entities"),
    ("Mirrored", "EntitySyncStats"),
    ("KeptObject", "StoredEntity"),
    ("list_backwards", "query_desc"),
    ("Erasure", "DeletionRequest"),
    ("leaving", "deauthorization"),
    ("Paste", "SystemUserToken"),
    ("hand_over_token", "connect_system_user"),
    ("Choice", "AccountSelection"),
    ("veiled", "keyed_hash"),
    ("ticked", "selected"),
    ("Shown", "View"),
    ("called", "display_name"),
    ("Standing", "RoleSource"),
    ("daily_look", "health_check"),
    ("judge", "classify"),
    ("death", "invalid_reason"),
    ("bury", "dead_letter"),
    ("misdirected", "wrong_queue"),
    ("attend", "dispatch"),
    ("Act", "AuditEvent"),
    ("Stage", "Phase"),
    ("Broken", "ChainError"),
    ("Tree", "Value"),
    ("Planting", "visitor"),
    ("InHand", "poison marker"),
    ("Fate", "SendOutcome"),
    ("AdDay", "InsightsRow"),
    ("AdDays", "insights"),
    ("ad_days", "insights"),
    ("going_on", "resume"),
    ("unread_runs", "pending_reports"),
    ("AlreadySo", "NoChange"),
    ("Guarded", "InsufficientData"),
    ("Lapsed", "Expired"),
    ("LARGEST", "MAX_…_BYTES"),
    ("LONGEST", "MAX_…_CHARS"),
    ("PATIENCE", "…_TIMEOUT"),
    ("ENOUGH", "MAX_…"),
    ("MOST", "MAX_…"),
    ("TRIES", "MAX_ATTEMPTS"),
    ("TOGETHER", "MAX_…_PER_TRANSACTION"),
];

/// Fails with every place at which a replaced word is an identifier.
pub(crate) fn check() -> anyhow::Result<()> {
    let sources = ["ls-files", "--cached", "--others", "--exclude-standard", "--", "*.rs"];
    let listed = tools::output_of("git", &sources).context("git cannot list the sources")?;
    let mut found = Vec::new();
    for path in listed.lines() {
        // A file that was deleted and not committed is listed, too.
        let Ok(text) = fs::read_to_string(root().join(path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            let code = code_of(line);
            let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
            let replaced = words.find_map(|word| REPLACED.iter().find(|(old, _)| *old == word));
            if let Some((old, new)) = replaced {
                found.push(format!("{path}:{}: {old}, say {new}", number + 1));
            }
        }
    }
    ensure!(found.is_empty(), "words of our own where the field has a term:\n{}", found.join("\n"));
    Ok(())
}

/// Returns a line without its string literals and its comment, as far as a single line tells. tracing has a trait named
/// `Visit`.
fn code_of(line: &str) -> String {
    let outside = line.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    outside.split("//").next().unwrap_or_default().replace("field::Visit", "")
}
