//! What a write is about: read off its method and path.

use super::Write;
use crate::call::UPLOAD;
use crate::error::{GraphError, unsupported};
use crate::media::video::Step;
use crate::node::{Account, Kind};
use crate::params::Params;
use crate::world::World;

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Make(Kind),
    Change,
    ChangeAccount,
    Remove,
    RemoveCampaigns,
    Copy,
    Schedule,
    AddImages,
    RemoveImage,
    Upload(Step),
}

/// A write that goes to something that exists.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) what: What,
    /// Digits of the ad account.
    pub(crate) account: String,
    /// The node the call goes to, without `act_`.
    pub(crate) id: String,
    /// Its kind.
    pub(crate) kind: Kind,
}

impl Task {
    /// Finds out what a write is about; an error when there is nothing like that.
    pub(crate) fn of(world: &World, write: &Write) -> Result<Self, GraphError> {
        let segments: Vec<&str> = write.path.split('/').collect();
        let first = segments[0];
        let nothing = || unsupported(&write.method, first);
        let (id, kind, account) = match first.strip_prefix("act_") {
            Some(digits) => {
                (digits, Kind::Account, world.account(digits).ok_or_else(nothing)?.digits.clone())
            }
            None => {
                let node = world.nodes.get(first).ok_or_else(nothing)?;
                (first, node.kind, node.account.clone())
            }
        };
        let what = what(kind, &write.method, segments.get(1).copied(), write).ok_or_else(nothing)?;
        Ok(Self { what, account, id: id.to_owned(), kind })
    }

    /// The account the write goes to.
    pub(super) fn owner<'a>(&self, world: &'a World) -> &'a Account {
        world.account(&self.account).unwrap_or(world.main())
    }
}

/// What a call to an edge of an ad account makes.
pub(super) fn made_by(edge: &str) -> Option<Kind> {
    match edge {
        "campaigns" => Some(Kind::Campaign),
        "adsets" => Some(Kind::AdSet),
        "ads" => Some(Kind::Ad),
        "adcreatives" => Some(Kind::Creative),
        _ => None,
    }
}

fn what(kind: Kind, method: &str, edge: Option<&str>, write: &Write) -> Option<What> {
    let Some(edge) = edge else {
        return match (method, kind) {
            ("POST", Kind::Account) => Some(What::ChangeAccount),
            ("POST", Kind::Image) | ("DELETE", Kind::Account | Kind::Image) => None,
            ("POST", _) => Some(What::Change),
            ("DELETE", _) => Some(What::Remove),
            _ => None,
        };
    };
    Some(match (method, kind, edge) {
        ("POST", Kind::Account, edge) if made_by(edge).is_some() => What::Make(made_by(edge)?),
        ("DELETE", Kind::Account, "campaigns") => What::RemoveCampaigns,
        ("POST", Kind::Account, "adimages") => What::AddImages,
        ("DELETE", Kind::Account, "adimages") => What::RemoveImage,
        ("POST", Kind::Account, "advideos") => What::Upload(Step::of(Params(&write.params))),
        ("POST", Kind::Account, "video_ads") => What::Upload(Step::of_video_ad(Params(&write.params))),
        ("POST", Kind::Video, UPLOAD) => What::Upload(Step::Whole),
        ("POST", Kind::Campaign | Kind::AdSet | Kind::Ad, "copies") => What::Copy,
        ("POST", Kind::Campaign | Kind::AdSet, "budget_schedules") => What::Schedule,
        _ => return None,
    })
}
