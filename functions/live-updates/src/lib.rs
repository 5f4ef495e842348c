//! Live events to browsers. The function on AWS appends them as the table's stream delivers writes, answers who asks for
//! them, and passes them to a hub; the hub passes them to the sockets of its workspace. The table is the truth and the
//! hub a hint: what a socket misses is read.

pub mod hub;
pub mod key;
pub mod ticket;

#[cfg(not(target_arch = "wasm32"))]
mod events;
#[cfg(not(target_arch = "wasm32"))]
mod function;
#[cfg(not(target_arch = "wasm32"))]
mod hub_client;
#[cfg(not(target_arch = "wasm32"))]
mod tickets;
#[cfg(target_arch = "wasm32")]
mod worker;

#[cfg(not(target_arch = "wasm32"))]
pub use function::{ENDPOINTS, LiveUpdates};
#[cfg(not(target_arch = "wasm32"))]
pub use hub_client::HubClient;
