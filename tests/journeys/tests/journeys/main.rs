//! Stories across functions, on real parts: the real HTTP API, the real AWS SDK on the embedded cloud, the
//! real Graph client against the simulator.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should stop where it stands"
)]

mod audit;
mod backfill;
mod canary;
mod choose;
mod connect;
mod consent;
mod defaults;
mod described;
mod discovery;
mod entrance;
mod faults;
mod health;
mod launch;
mod leaving;
mod lines;
mod members;
mod mirror;
mod mortal;
mod persons;
mod queues;
mod rotation;
mod rules;
mod sessions;
mod store;
mod tenancy;
mod underway;
mod watch;
mod webhook;
