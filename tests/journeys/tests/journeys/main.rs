//! Stories across functions, on real parts: the real HTTP API, the real AWS SDK on the embedded cloud, the
//! real Graph client against the simulator.

mod backfill;
mod connect;
mod launch;
mod rules;
mod store;
mod tenancy;
mod webhook;
