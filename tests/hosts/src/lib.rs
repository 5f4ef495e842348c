//! The test environment on real hosts: processes that are started on loopback and stopped with the test.

pub mod aws;
pub mod deployment;
pub mod edge;
pub mod ministack;
pub mod process;
pub mod template;
pub mod test_environment;
