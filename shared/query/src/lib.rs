//! Queries over entities and facts: one document, and one executor for all who ask.
//!
//! The query endpoint, insights, lists and rules ask with a [`Query`]. [`execute()`] reads the index of entities and the
//! blocks of facts that the answer needs, and nothing else. Sums are exact, ratios are ratios of sums, and what is not
//! known stays unknown.

mod answer;
mod buckets;
mod currency;
mod document;
mod execute;
mod filter;
mod measure;
mod numbers;
mod objects;
mod order;
mod reach;
mod rows;
mod sum;
mod view;

pub use answer::{AccountScope, Answer, MissingReach, MissingReachState, ReachScope, Row, Totals};
pub use currency::Convert;
pub use document::{Compare, Days, Dimension, MAX_ANSWER_BYTES, Query};
pub use execute::execute;
pub use filter::{Attribute, Filter, FilterOperator};
pub use measure::Measure;
pub use numbers::{Numbers, Values};
pub use order::{Direction, OrderBy, OrderKey, OrderOf, day_of_position};
pub use sum::{FactQuery, sum_facts};
pub use view::{Change, MeasuresView, TotalsView};
