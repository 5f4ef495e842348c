//! Scenarios across functions with real components: the real HTTP API, the real AWS SDK on the embedded cloud, the real
//! Graph client against the simulator.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should stop where it stands"
)]

mod account_selection;
mod account_totals;
mod activation;
mod additions;
mod api_middleware;
mod audit;
mod backfill;
mod breakdowns;
mod budget_level;
mod bulk;
mod bulk_stop;
mod change_outcomes;
mod changes;
mod concurrent_deletion;
mod connect;
mod consent;
mod crash;
mod deauthorization;
mod defaults;
mod discovery;
mod due;
mod duplicate;
mod edits;
mod entity_sync;
mod fact_schedules;
mod faults;
mod front_end_login;
mod health;
mod http_semantics;
mod ingestion;
mod launch;
mod launch_corpus;
mod launch_crashes;
mod launch_document;
mod launch_dry_run;
mod leak_scanner;
mod live;
mod media;
mod members;
mod million_facts;
mod odd_answers;
mod oidc_discovery;
mod previews;
mod pushes;
mod queries;
mod query_oracle;
mod queues;
mod quota_share;
mod reach;
mod response_validator;
mod rotation;
mod rules;
mod schedules;
mod sessions;
mod store;
mod sync_crashes;
mod table_faults;
mod telemetry;
mod tenancy;
mod token_errors;
mod users;
mod versions;
mod watch;
mod webhook;
mod workspace_lifecycle;
