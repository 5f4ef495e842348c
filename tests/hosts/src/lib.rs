//! The stage on which the stories of real hosts play: processes that are started on loopback, spoken to, and
//! stopped with the test.

pub mod aws;
pub mod deployment;
pub mod edge;
pub mod ministack;
pub mod process;
pub mod stage;
pub mod template;
