//! Scenarios on real hosts: the untouched template on an AWS emulator, the built Worker in workerd, sessions of
//! somebody else's provider. They need what `cargo xtask hosts` installs and builds, so a plain `cargo test` names them
//! as ignored.

mod deployed;
mod function_variables;
mod grants;
mod journey;
mod kills;
mod oidc;
mod operator;
mod permissions;
mod roles;
mod template;
mod worker;
