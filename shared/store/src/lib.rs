//! The DynamoDB table and nothing else: keys, then a file per thing stored.
//!
//! Every write that could race names its condition. Facts and objects carry the order in which they were
//! fetched, so an old answer never replaces a newer one, whatever order messages arrive in.
//!
//! A table is opened by a [`Tenant`](domain::tenant::Tenant); the workspace that a path names opens nothing:
//!
//! ```compile_fail,E0308
//! async fn accounts(table: &store::Table, path: domain::id::WorkspaceId) -> usize {
//!     table.accounts(&path).await.map_or(0, |accounts| accounts.len())
//! }
//! ```

pub mod key;
pub mod table;
mod transaction;

pub mod account;
pub mod account_selection;
pub mod audit;
pub mod chunk;
pub mod connection;
pub mod decision;
pub mod deletion;
pub mod entity;
pub mod fact;
pub mod idempotency;
pub mod inbox;
pub mod invitation;
pub mod launch;
pub mod limit;
pub mod member;
pub mod oauth_state;
pub mod rate_limit;
pub mod rate_limit_key;
pub mod rule;
pub mod schedule;

pub use table::{StoreError, Table};
