//! Access to the DynamoDB table: keys, then one module per kind of item.
//!
//! Every write that could race is conditional. Facts and entities carry the order in which they were fetched, so an
//! older response never replaces a newer one, whatever order messages arrive in.
//!
//! The table requires a [`Tenant`](domain::tenant::Tenant); it does not accept the workspace id of a path:
//!
//! ```compile_fail,E0308
//! async fn accounts(table: &store::Table, path: domain::id::WorkspaceId) -> usize {
//!     table.accounts(&path).await.map_or(0, |accounts| accounts.len())
//! }
//! ```

pub mod key;
mod modify;
pub mod table;
mod transaction;
pub mod upload;
mod workspace_deletion;

pub mod account;
pub mod account_change;
pub mod account_selection;
pub mod audit;
mod batch;
pub mod bulk;
pub mod changed_entities;
pub mod chunk;
pub mod connection;
pub mod custom_conversion;
pub mod decision;
pub mod deletion;
pub mod due;
pub mod entity;
pub mod entity_index;
pub mod entity_progress;
pub mod fact;
pub mod fact_reader;
pub mod idempotency;
pub mod import;
pub mod inbox;
pub mod invitation;
pub mod launch;
pub mod limit;
pub mod limit_scope;
pub mod live;
pub mod login;
pub mod manifest;
pub mod member;
pub mod rate_limit;
pub mod rate_limit_key;
pub mod reach;
pub mod report_scope;
pub mod rule;
pub mod schedule;
pub mod served_version;
pub mod sync_run;
pub mod totals;

pub use table::{StoreError, Table};
