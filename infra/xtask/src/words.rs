//! Words of our own that the field has standard terms for: none of them may come back as an identifier.

use std::fs;

use anyhow::{Context, ensure};

use crate::{root, tools};

/// Identifiers that were replaced, each with its standard term. A type is named with a capital letter.
const REPLACED: [(&str, &str); 46] = [
    ("Entrance", "Middleware"),
    ("Visit", "RequestContext"),
    ("Guest", "Principal"),
    ("Asker", "RateLimitKey"),
    ("Pace", "RateLimiter"),
    ("take_requests", "acquire"),
    ("Repeat", "Idempotency"),
    ("own_way", "handles_own_idempotency"),
    ("KeptAnswer", "StoredResponse"),
    ("Reply", "Response"),
    ("Failure", "Error"),
    ("Defect", "Internal"),
    ("may_pass", "is_retryable"),
    ("UnknownOutcome", "Indeterminate"),
    ("Reached", "AccountClient"),
    ("heed", "check_response"),
    ("Allowance", "QuotaLease"),
    ("Purse", "QuotaLease"),
    ("Learnt", "QueryShape"),
    ("Portion", "QueryShape"),
    ("make_smaller", "split"),
    ("what_is_missing", "reconcile"),
    ("ensure_beat", "ensure_recurring"),
    ("stop_beat", "stop_recurring"),
    ("at_hand", "current"),
    ("Door", "WebhookReceiver"),
    ("TakenIn", "Accepted"),
    ("Taking", "Claim"),
    ("take_change", "claim"),
    ("Holder", "AccountRef"),
    ("Mirrored", "EntitySyncStats"),
    ("KeptObject", "StoredEntity"),
    ("list_backwards", "query_desc"),
    ("Erasure", "DeletionRequest"),
    ("PastedToken", "SystemUserToken"),
    ("hand_over_token", "connect_system_user"),
    ("Choice", "AccountSelection"),
    ("Standing", "RoleSource"),
    ("daily_look", "health_check"),
    ("misdirected", "wrong_queue"),
    ("Act", "AuditEvent"),
    ("Planting", "visitor"),
    ("InHand", "poison marker"),
    ("AdDay", "InsightsRow"),
    ("AdDays", "insights"),
    ("going_on", "resume"),
];

/// Names every place at which a replaced word stands as an identifier.
pub(crate) fn check() -> anyhow::Result<()> {
    let listed =
        tools::output_of("git", &["ls-files", "--cached", "--others", "--exclude-standard", "--", "*.rs"]);
    let mut found = Vec::new();
    for path in listed.context("git cannot list the sources")?.lines() {
        // This list itself.
        if path == "infra/xtask/src/words.rs" {
            continue;
        }
        let Ok(text) = fs::read_to_string(root().join(path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            // tracing has a trait of this name.
            let code = line.split("//").next().unwrap_or_default().replace("field::Visit", "");
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
