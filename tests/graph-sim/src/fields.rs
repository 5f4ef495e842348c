//! Whether the objects of a kind have a field, so that one which exists but has no value can be told from one which
//! does not exist.

use crate::error::type_name;
use crate::node::Kind;
use crate::spec;

/// Whether nodes of this kind have a field of this name.
pub(crate) fn exists(kind: Kind, field: &str) -> bool {
    spec::has_field(type_name(kind), field)
}

/// Whether insights rows have a field of this name.
pub(crate) fn exists_in_insights(field: &str) -> bool {
    spec::has_field("AdsInsights", field)
}
