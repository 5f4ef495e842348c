//! A body cannot carry one unless its field says that only we write it.

use ads::tenant::Tenant;
use serde::Deserialize;

#[derive(Deserialize)]
struct Body {
    workspace: Tenant,
}

fn main() {}
