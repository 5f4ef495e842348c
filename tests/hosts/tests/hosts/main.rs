//! Scenarios on real hosts: the unchanged template on an AWS emulator, the built Workers in workerd, sessions of a
//! third-party provider. They need what `cargo xtask hosts` installs and builds, so a plain `cargo test` reports them
//! as ignored.

mod console;
mod deployed;
mod function_variables;
mod grants;
mod journey;
mod kills;
mod live;
mod oidc;
mod operator;
mod permissions;
mod roles;
mod template;
mod worker;
