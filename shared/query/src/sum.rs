//! Sums over an account's facts.

use domain::dataset::Dataset;
use domain::date::{DateRange, Weekdays};
use domain::entity::Level;
use domain::id::AdAccountId;
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use facts::{BlockLevel, Columns, Grouping, Selection, Sums};
use store::chunk::Chunk;
use store::fact_reader::FactSelection;
use store::{StoreError, Table};

/// Groups of an answer at most: they are in memory at once.
const MAX_GROUPS: usize = 100_000;

/// Which facts to sum, and how.
#[derive(Debug, Clone)]
pub struct FactQuery {
    /// What is measured.
    pub dataset: Dataset,
    /// The days.
    pub range: DateRange,
    /// Only these days of the week, from Monday on.
    pub weekdays: Option<Weekdays>,
    /// What belongs together.
    pub grouping: Grouping,
    /// Which objects.
    pub objects: Selection,
    /// Which columns.
    pub columns: Columns,
}

impl FactQuery {
    /// Returns the stored level that is read: campaigns where that is enough.
    fn level(&self) -> BlockLevel {
        if self.grouping.level.max(self.objects.level()) > Level::Campaign || self.columns.need_detail() {
            BlockLevel::Ad
        } else {
            BlockLevel::Campaign
        }
    }
}

/// Sums the facts that these chunks of the range have.
///
/// # Errors
/// Invalid input when the answer would have more groups than fit into memory.
pub async fn sum_facts(
    table: &Table,
    workspace: &Tenant,
    account: &AdAccountId,
    chunks: &[Chunk],
    query: FactQuery,
) -> Result<Sums, Error> {
    let level = query.level();
    let FactQuery { dataset, range, weekdays, grouping, objects, columns } = &query;
    let selection = FactSelection {
        dataset: *dataset,
        range: *range,
        weekdays: *weekdays,
        level,
        with_detail: columns.need_detail(),
        objects,
    };
    let mut reader = table.read_facts(workspace, account, chunks, selection);
    let mut sums = Sums::new(grouping.clone(), columns.clone());
    while let Some(blocks) = reader.next().await? {
        for block in blocks.decode() {
            sums.add(blocks.day, &block?, objects).map_err(StoreError::from)?;
        }
        if sums.groups().len() > MAX_GROUPS {
            let message = format!(
                "the answer would have more than {MAX_GROUPS} rows before they are ordered; ask for fewer days, longer periods, or fewer entities"
            );
            return Err(FieldError::new("range", message).into());
        }
    }
    Ok(sums)
}
