//! The defects: each is a change of one place, and the tests that find it.

/// A defect that can be switched on.
pub(super) struct Planted {
    /// Its name, which switches it on.
    pub(super) name: &'static str,
    /// The file that has it.
    pub(super) file: &'static str,
    /// The text that is replaced, which the file has once.
    pub(super) find: &'static str,
    /// What replaces it. `on!()` is whether the defect is switched on.
    pub(super) with: &'static str,
    /// Where the tests are that find it, and which they are.
    pub(super) tests: (&'static str, &'static str),
}

/// The stories.
const STORY: &str = "--test=journeys";
/// The tests beside the code.
const LIB: &str = "--lib";

#[rustfmt::skip]
pub(super) const PLANTED: [Planted; 37] = [
    // Facts.
    Planted {
        name: "a segment is put whatever its fence",
        file: "shared/store/src/fact.rs",
        find: r#"expression: "attribute_not_exists(pk) OR fence < :fence OR (fence = :fence AND digest = :digest)""#,
        with: r#"expression: if on!() { "attribute_not_exists(pk) OR fence <> :fence OR digest = :digest OR fence = :fence" } else { "attribute_not_exists(pk) OR fence < :fence OR (fence = :fence AND digest = :digest)" }"#,
        tests: (STORY, "fact_schedules::"),
    },
    Planted {
        name: "a day is published without the lease",
        file: "shared/store/src/fact.rs",
        find: r#"let condition = Some("fence = :fence AND published = :seen");"#,
        with: r#"let condition = Some(if on!() { "published = :seen AND fence >= :fence" } else { "fence = :fence AND published = :seen" });"#,
        tests: (STORY, "fact_schedules::"),
    },
    Planted {
        name: "a day is published without its revision",
        file: "shared/store/src/fact.rs",
        find: "let (seen, next) = (lease.chunk.published, lease.chunk.published + 1);",
        with: "let (seen, next) = (lease.chunk.published, lease.chunk.published + u64::from(!on!()));",
        tests: (STORY, "fact_schedules::"),
    },
    Planted {
        name: "a segment has one slot",
        file: "shared/store/src/fact.rs",
        find: "let slot = before.map_or(0, |before| 1 - before.slot);",
        with: "let slot = before.map_or(0, |before| if on!() { 0 } else { 1 - before.slot });",
        tests: (STORY, "fact_schedules::"),
    },
    Planted {
        name: "a reader takes any generation of a segment",
        file: "shared/store/src/fact_reader.rs",
        find: r#"if fence != entry.fence || item.get("digest")?.as_b().ok()?.as_ref() != entry.digest {"#,
        with: r#"if !on!() && (fence != entry.fence || item.get("digest")?.as_b().ok()?.as_ref() != entry.digest) {"#,
        tests: (STORY, "fact_schedules::"),
    },
    Planted {
        name: "a lease does not raise the fence",
        file: "shared/store/src/chunk.rs",
        find: r#""SET #state = :running, fence = fence + :one, lease_until = :until, pages = :zero","#,
        with: r#"if on!() { "SET #state = :running, fence = fence + :zero, lease_until = :until, pages = :one" } else { "SET #state = :running, fence = fence + :one, lease_until = :until, pages = :zero" },"#,
        tests: (STORY, "store::"),
    },
    Planted {
        name: "a chunk is done although a day was requested again",
        file: "shared/store/src/chunk.rs",
        find: r#"(ChunkState::Done, "fence = :fence AND requested = :requested"),"#,
        with: r#"(ChunkState::Done, if on!() { "fence = :fence AND requested >= :requested" } else { "fence = :fence AND requested = :requested" }),"#,
        tests: (STORY, "store::"),
    },
    Planted {
        name: "a row that comes twice counts twice",
        file: "shared/facts/src/rows.rs",
        find: "        if let Some(place) = replaced {",
        with: "        if let Some(place) = replaced.filter(|_| !on!()) {",
        tests: (LIB, "rows::"),
    },
    Planted {
        name: "campaigns are summed without one ad",
        file: "shared/facts/src/rows.rs",
        find: "        for row in &self.rows {\n            let Some(campaign) = row.path.first() else { continue };",
        with: "        for row in self.rows.iter().skip(usize::from(on!())) {\n            let Some(campaign) = row.path.first() else { continue };",
        tests: (STORY, "backfill::every_level_equals"),
    },
    Planted {
        name: "a day counts as unchanged when its number of rows is",
        file: "shared/facts/src/rows.rs",
        find: "            sum = sum.wrapping_add(u128::from_le_bytes(digest(&bytes)));",
        with: "            sum = sum.wrapping_add(if on!() { 1 } else { u128::from_le_bytes(digest(&bytes)) });",
        tests: (LIB, "rows::"),
    },
    Planted {
        name: "a part of a video whose answer was lost is sent again",
        file: "shared/graph-api/src/media/upload.rs",
        find: "if let Some(received) = self.video(&upload.video).await?.bytes_received {",
        with: "if let Some(received) = self.video(&upload.video).await?.bytes_received.filter(|_| !on!()) {",
        tests: (STORY, "media::"),
    },
    // Entities.
    Planted {
        name: "an earlier fetch replaces a later one",
        file: "shared/store/src/entity.rs",
        find: r#"expression: "attribute_not_exists(pk) OR fetch_number < :fetch_number","#,
        with: r#"expression: if on!() { "attribute_not_exists(pk) OR fetch_number <> :fetch_number" } else { "attribute_not_exists(pk) OR fetch_number < :fetch_number" },"#,
        tests: (STORY, "store::"),
    },
    // Queues.
    Planted {
        name: "a message whose job failed is acknowledged",
        file: "shared/runtime/src/queue.rs",
        find: "                Outcome::WillRetry\n            });",
        with: "                if on!() { Outcome::Done } else { Outcome::WillRetry }\n            });",
        tests: (STORY, "queues::"),
    },
    Planted {
        name: "a message that must wait is acknowledged",
        file: "shared/runtime/src/queue.rs",
        find: "            queues.send_delayed(job, after).await?;",
        with: "            if !on!() { queues.send_delayed(job, after).await?; }",
        tests: (STORY, "backfill::a_throttled_chunk"),
    },
    Planted {
        name: "messages do not say whose they are",
        file: "shared/runtime/src/queue.rs",
        find: "                    .message_group_id(job.message_group_id())",
        with: "                    .message_group_id(if on!() { \"all\" } else { job.message_group_id() })",
        tests: (STORY, "queues::"),
    },
    Planted {
        name: "the due index serves the longest due, whoever has thousands",
        file: "functions/sync-entities/src/due.rs",
        find: "        *turn += 1;",
        with: "        *turn += usize::from(!on!());",
        tests: (LIB, "due::"),
    },
    // Webhooks.
    Planted {
        name: "a webhook is accepted before it is queued",
        file: "functions/webhook-ingest/src/lib.rs",
        find: "        self.queues.send(&jobs(changes)).await?;",
        with: "        if !on!() { self.queues.send(&jobs(changes)).await?; }",
        tests: (STORY, "webhook::"),
    },
    Planted {
        name: "a webhook needs no signature",
        file: "functions/webhook-ingest/src/lib.rs",
        find: "        if !signature.is_some_and(signed) {",
        with: "        if !on!() && !signature.is_some_and(signed) {",
        tests: (STORY, "webhook::"),
    },
    Planted {
        name: "a change that was processed is processed again",
        file: "shared/store/src/inbox.rs",
        find: "        if stored.state == InboxState::Processed {",
        with: "        if on!() { return Ok(Claim::Acquired); }\n        if stored.state == InboxState::Processed {",
        tests: (STORY, "webhook::"),
    },
    // Launches and schedules.
    Planted {
        name: "a creation whose response was lost is sent again",
        file: "shared/graph-api/src/client.rs",
        find: "        let created = decode(&self.send(&call).await?);",
        with: "        let created = decode(&if on!() { let again = Call { effect: Effect::Set, ..call }; self.send_with_retry(&again).await? } else { self.send(&call).await? });",
        tests: (STORY, "launch::"),
    },
    Planted {
        name: "a launch creates what is active",
        file: "shared/graph-api/src/launch/form.rs",
        find: r#"("status", "PAUSED".to_owned())]"#,
        with: r#"("status", if on!() { "ACTIVE".to_owned() } else { "PAUSED".to_owned() })]"#,
        tests: (STORY, "launch::"),
    },
    Planted {
        name: "a launch that failed leaves what it has created",
        file: "functions/manage-campaign/src/launch/saga.rs",
        find: "            client.delete(&created.id).await?;",
        with: "            if !on!() { client.delete(&created.id).await?; }",
        tests: (STORY, "launch::"),
    },
    Planted {
        name: "a step is looked for only after a lost response of the same run",
        file: "functions/manage-campaign/src/launch/saga.rs",
        find: "        if stored.launch.intent == Some(step) {\n",
        with: "        if !on!() && stored.launch.intent == Some(step) {\n",
        tests: (STORY, "launch::"),
    },
    Planted {
        name: "a creation with an unknown outcome is sent again at once",
        file: "functions/manage-campaign/src/launch/saga.rs",
        find: "            self.await_listing(&stored.launch)?;\n            stored.launch.resent = true;",
        with: "            if !on!() { self.await_listing(&stored.launch)?; }\n            stored.launch.resent = true;",
        tests: (STORY, "launch_document::"),
    },
    Planted {
        name: "an interrupted activation decides anew what it activates",
        file: "functions/manage-campaign/src/schedule/activation.rs",
        find: "        if let Some(scope) = activation.scope {\n",
        with: "        if let Some(scope) = activation.scope.filter(|_| !on!()) {\n",
        tests: (STORY, "activation::"),
    },
    Planted {
        name: "a timer that was replaced activates",
        file: "functions/manage-campaign/src/schedule/run.rs",
        find: "due.filter(|due| due.timer == timer && pending.contains(&due.state))",
        with: "due.filter(|due| (on!() || due.timer == timer) && pending.contains(&due.state))",
        tests: (STORY, "launch::"),
    },
    Planted {
        name: "a stop of a bulk change is not seen",
        file: "functions/manage-campaign/src/bulk/stop.rs",
        find: "let Some(at) = self.connector.table.bulk_change_stopped_at(workspace, bulk).await? else {",
        with: "let Some(at) = self.connector.table.bulk_change_stopped_at(workspace, bulk).await?.filter(|_| !on!()) else {",
        tests: (STORY, "bulk_stop::"),
    },
    Planted {
        name: "a start that was held up begins what was to be paused since",
        file: "functions/manage-campaign/src/schedule/run.rs",
        find: "if let Some(later) = self.later_schedule(workspace, ad_account, &due).await? {",
        with: "if let Some(later) = self.later_schedule(workspace, ad_account, &due).await?.filter(|_| !on!()) {",
        tests: (STORY, "schedules::"),
    },
    // Rules.
    Planted {
        name: "a rule decides again on the same day",
        file: "shared/store/src/decision.rs",
        find: r#"expression: "attribute_not_exists(pk) OR outcome = :insufficient_data","#,
        with: r#"expression: if on!() { "attribute_not_exists(pk) OR outcome = :insufficient_data OR outcome <> :insufficient_data" } else { "attribute_not_exists(pk) OR outcome = :insufficient_data" },"#,
        tests: (STORY, "store::"),
    },
    // The API.
    Planted {
        name: "a session opens every workspace",
        file: "shared/middleware/src/authentication.rs",
        find: "let is_wanted = |(tenant, _): &(Tenant, Role)| **tenant == wanted;",
        with: "let is_wanted = |(tenant, _): &(Tenant, Role)| on!() || **tenant == wanted;",
        tests: (STORY, "tenancy::"),
    },
    Planted {
        name: "every member may do everything",
        file: "shared/middleware/src/authentication.rs",
        find: "        if role < needed {",
        with: "        if !on!() && role < needed {",
        tests: (STORY, "members::"),
    },
    Planted {
        name: "two requests with the same key are both executed",
        file: "shared/store/src/idempotency.rs",
        find: r##"expression: "attribute_not_exists(pk) OR #expires <= :now","##,
        with: r##"expression: if on!() { "attribute_not_exists(pk) OR #expires <> :now" } else { "attribute_not_exists(pk) OR #expires <= :now" },"##,
        tests: (STORY, "api_middleware::"),
    },
    Planted {
        name: "a session of another audience is accepted",
        file: "shared/runtime/src/session/claims.rs",
        find: "    if !is_ours {",
        with: "    if !on!() && !is_ours {",
        tests: (STORY, "sessions::"),
    },
    Planted {
        name: "a login is completed as often as it is sent",
        file: "shared/store/src/login.rs",
        find: "        let delete = self.delete_action_if(&key::oauth_state(state_hash), same_browser)?;",
        with: "        let delete = self.delete_action_if(&key::oauth_state(state_hash), same_browser)?;\n        if on!() { return Ok(true); }",
        tests: (STORY, "connect::"),
    },
    Planted {
        name: "a lease is not renewed within a read",
        file: "shared/graph-api/src/quota_lease.rs",
        find: "        if is_due {\n",
        with: "        if is_due && !on!() {\n",
        tests: ("--test=graph_api", "limits::"),
    },
    // Secrets.
    Planted {
        name: "a sealed token opens in every place",
        file: "shared/runtime/src/keyring.rs",
        find: r#"    format!("{FORMAT_VERSION}|{key}|{context}")"#,
        with: r#"    format!("{FORMAT_VERSION}|{key}|{}", if on!() { "" } else { context })"#,
        tests: (LIB, "keyring::"),
    },
    // Money.
    Planted {
        name: "every currency has a hundred minor units",
        file: "shared/domain/src/platform.rs",
        find: "        if whole.contains(&currency.code()) { 1 } else { 100 }",
        with: "        if !on!() && whole.contains(&currency.code()) { 1 } else { 100 }",
        tests: (LIB, "platform::"),
    },
];
