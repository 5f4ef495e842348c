//! The field names of each kind of object, to distinguish a field without a value from one that does not exist.

use crate::error::type_name;
use crate::node::Kind;
use crate::spec;

/// Returns whether nodes of this kind have a field of this name.
pub(crate) fn exists(kind: Kind, field: &str) -> bool {
    spec::has_field(type_name(kind), field)
}

/// Returns whether insights rows have a field of this name.
pub(crate) fn exists_in_insights(field: &str) -> bool {
    spec::has_field("AdsInsights", field)
}
