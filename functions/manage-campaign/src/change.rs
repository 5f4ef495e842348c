//! Changing and deleting objects: Meta first, then the table.

use access::{Reached, UseCase, audit};
use ads::id::{AdAccountId, ObjectId};
use ads::money::{Currency, Money};
use ads::object::{AdObject, EffectiveStatus, Level, Status};
use ads::text::is_plain;
use ads::{Failure, Invalid};
use graph_api::launch::Changes;
use runtime::route::Visit;
use runtime::{Reply, reply};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use store::object::KeptObject;

use crate::list::ShownObject;
use crate::{Endpoint, ManageCampaign};

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", schemars(extend("minProperties" = 1)))]
pub(crate) struct Patch {
    /// A new name.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "describe", schemars(with = "String", length(max = LONGEST_NAME), extend("pattern" = ads::text::PLAIN)))]
    name: Option<String>,
    /// A new status.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "describe", schemars(with = "NewStatus"))]
    status: Option<NewStatus>,
    /// A new daily budget, where this object holds one.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "describe", schemars(with = "ads::money::Budget"))]
    daily_budget: Option<Money>,
}

/// Longest name, in characters.
const LONGEST_NAME: usize = 400;

/// A field that is there has a value: null would look like a wish to remove something.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// What a person may set. Deleting has its own method.
#[derive(Deserialize, Clone, Copy)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
enum NewStatus {
    Active,
    Paused,
    Archived,
}

impl ManageCampaign {
    pub(crate) async fn change(&self, visit: &Visit<Endpoint>, level: Level) -> Result<Reply, Failure> {
        let workspace = visit.workspace()?;
        let (account, id): (AdAccountId, ObjectId) = (visit.path("ad_account")?, visit.path("id")?);
        let currency = self.access.table.known_account(workspace, &account).await?.currency;
        let object = self.object(workspace, &account, level, &id).await?;
        let changes = visit.json::<Patch>()?.changes(&object, currency)?;
        let reached = self.access.reach(workspace, &account, UseCase::AdsManagement).await?;
        let made = async {
            let (before, after) = said(&object, &changes);
            let act = audit::by_person(visit, &format!("{level}.changed"), format!("{level}/{id}"))?;
            let act = self.access.intend(workspace, act.in_account(&account).changing(before, after)).await?;
            let changed = reached.change(level, &id, &changes).await;
            act.ended(changed, reached.caller.trace(), self.host.clock.now()).await?;
            shown(&reached, level, &id, &changes).await
        };
        let made = made.await;
        let shown = reached.done(made).await?.unwrap_or(object);
        reply::ok(&ShownObject::new(shown, currency, None))
    }

    pub(crate) async fn delete(&self, visit: &Visit<Endpoint>, level: Level) -> Result<Reply, Failure> {
        let workspace = visit.workspace()?;
        let (account, id): (AdAccountId, ObjectId) = (visit.path("ad_account")?, visit.path("id")?);
        let object = self.object(workspace, &account, level, &id).await?;
        let reached = self.access.reach(workspace, &account, UseCase::AdsManagement).await?;
        let removed = async {
            let act = audit::by_person(visit, &format!("{level}.deleted"), format!("{level}/{id}"))?;
            let before = json!({"name": object.name, "status": object.status});
            let act = act.in_account(&account).changing(before, json!({"status": Status::Deleted}));
            let act = self.access.intend(workspace, act).await?;
            let removed = reached.heed(reached.caller.remove(&id).await).await;
            act.ended(removed, reached.caller.trace(), self.host.clock.now()).await
        };
        let removed = removed.await;
        reached.done(removed).await?;
        if level == Level::Campaign {
            match self.withdraw(workspace, &account, &id).await {
                // An activation that is under way finds the campaign gone and says so; the deletion stands.
                Ok(_) | Err(Failure::Conflict(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        // Meta deletes what is below as well, and stops listing all of it.
        let table = &self.access.table;
        let as_of = table.begin_fetch(workspace, &account).await?;
        for below in [Level::Campaign, Level::AdSet, Level::Ad].into_iter().filter(|below| *below >= level) {
            for kept in table.objects(workspace, &account, below).await? {
                let mut object = kept.object;
                let parents = [Some(&object.id), object.campaign_id.as_ref(), object.adset_id.as_ref()];
                if !parents.contains(&Some(&id)) {
                    continue;
                }
                if object.id == id {
                    object.status = Some(Status::Deleted);
                }
                object.effective_status = Some(EffectiveStatus::Deleted);
                table.keep_object(workspace, &account, &KeptObject { object, as_of, hidden: false }).await?;
            }
        }
        Ok(reply::no_content())
    }
}

/// What is changed, for the audit log.
fn said(object: &AdObject, changes: &Changes) -> (Value, Value) {
    let (mut before, mut after) = (Map::new(), Map::new());
    let mut say = |name: &str, was: Value, becomes: Value| {
        before.insert(name.to_owned(), was);
        after.insert(name.to_owned(), becomes);
    };
    if let Some(name) = &changes.name {
        say("name", json!(object.name), json!(name));
    }
    if let Some(status) = &changes.status {
        say("status", json!(object.status), json!(status));
    }
    if let Some(budget) = changes.daily_budget {
        say("daily_budget", json!(object.daily_budget), json!(budget));
    }
    (before.into(), after.into())
}

/// What Meta made of a change, which also shows what that did to the effective status.
async fn shown(
    reached: &Reached,
    level: Level,
    id: &ObjectId,
    changes: &Changes,
) -> Result<Option<AdObject>, Failure> {
    let shown = reached.refresh(level, id).await?;
    if changes.status.is_some() {
        reached.refresh_below(level, id).await?;
    }
    Ok(shown)
}

impl Patch {
    fn changes(self, object: &AdObject, currency: Currency) -> Result<Changes, Failure> {
        if self.name.is_none() && self.status.is_none() && self.daily_budget.is_none() {
            return Err(Invalid::new("body", "must set name, status or daily_budget").into());
        }
        if self.name.as_ref().is_some_and(|name| !is_plain(name, LONGEST_NAME)) {
            let problem = format!("must have 1 to {LONGEST_NAME} characters, and no control characters");
            return Err(Invalid::new("name", problem).into());
        }
        if let Some(budget) = &self.daily_budget {
            if budget.currency != currency {
                let problem = format!("must be {currency}, the ad account's currency");
                return Err(Invalid::new("daily_budget.currency", problem).into());
            }
            if !budget.is_budget() {
                return Err(Invalid::new("daily_budget.amount", Money::budget_rule()).into());
            }
            if object.daily_budget.is_none() {
                let why =
                    format!("{} {} holds no daily budget that could be changed", object.level, object.id);
                return Err(Failure::Conflict(why));
            }
        }
        let status = self.status.map(|status| match status {
            NewStatus::Active => Status::Active,
            NewStatus::Paused => Status::Paused,
            NewStatus::Archived => Status::Archived,
        });
        Ok(Changes {
            name: self.name,
            status: status.map(|status| status.as_str().to_owned()),
            daily_budget: self.daily_budget.map(|budget| budget.amount),
        })
    }
}
