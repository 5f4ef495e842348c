//! The DynamoDB table and nothing else: keys, then a file per thing kept.
//!
//! Every write that could race names its condition. Facts and objects carry the order in which they were
//! fetched, so an old answer never replaces a newer one, whatever order messages arrive in.

pub mod key;
pub mod table;
mod transaction;

pub mod account;
pub mod answer;
pub mod asker;
pub mod audit;
pub mod choice;
pub mod chunk;
pub mod connection;
pub mod decision;
pub mod erase;
pub mod fact;
pub mod inbox;
pub mod invitation;
pub mod launch;
pub mod limit;
pub mod member;
pub mod oauth_state;
pub mod object;
pub mod pace;
pub mod rule;
pub mod schedule;

pub use table::{StoreError, Table};
