//! The operation of a write, derived from its method and path.

use super::Write;
use crate::call::UPLOAD_PATH;
use crate::error::{GraphError, unsupported};
use crate::media::video::UploadStep;
use crate::node::{Account, Kind};
use crate::params::Params;
use crate::world::World;

/// The action of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteAction {
    Create(Kind),
    Update,
    UpdateAccount,
    Delete,
    DeleteCampaigns,
    Copy,
    Schedule,
    AddImages,
    DeleteImage,
    Upload(UploadStep),
}

/// A write with its resolved target.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) action: WriteAction,
    /// Ad account id without the `act_` prefix.
    pub(crate) account: String,
    /// The id of the target node, without `act_`.
    pub(crate) id: String,
    /// The target's kind.
    pub(crate) kind: Kind,
}

impl Operation {
    /// Resolves a write.
    ///
    /// # Errors
    /// When the target or the action does not exist.
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
        let action = action(kind, &write.method, segments.get(1).copied(), write).ok_or_else(nothing)?;
        Ok(Self { action, account, id: id.to_owned(), kind })
    }

    /// Returns the ad account of the target.
    pub(super) fn owner<'a>(&self, world: &'a World) -> &'a Account {
        world.account_of(&self.account)
    }
}

/// Returns the kind of object that a call to an edge of an ad account creates.
pub(super) fn created_kind(edge: &str) -> Option<Kind> {
    match edge {
        "campaigns" => Some(Kind::Campaign),
        "adsets" => Some(Kind::AdSet),
        "ads" => Some(Kind::Ad),
        "adcreatives" => Some(Kind::Creative),
        _ => None,
    }
}

fn action(kind: Kind, method: &str, edge: Option<&str>, write: &Write) -> Option<WriteAction> {
    let Some(edge) = edge else {
        return match (method, kind) {
            ("POST", Kind::Account) => Some(WriteAction::UpdateAccount),
            ("POST", Kind::Image) | ("DELETE", Kind::Account | Kind::Image) => None,
            ("POST", _) => Some(WriteAction::Update),
            ("DELETE", _) => Some(WriteAction::Delete),
            _ => None,
        };
    };
    Some(match (method, kind, edge) {
        ("POST", Kind::Account, edge) if created_kind(edge).is_some() => {
            WriteAction::Create(created_kind(edge)?)
        }
        ("DELETE", Kind::Account, "campaigns") => WriteAction::DeleteCampaigns,
        ("POST", Kind::Account, "adimages") => WriteAction::AddImages,
        ("DELETE", Kind::Account, "adimages") => WriteAction::DeleteImage,
        ("POST", Kind::Account, "advideos") => WriteAction::Upload(UploadStep::of(Params(&write.params))),
        ("POST", Kind::Account, "video_ads") => {
            WriteAction::Upload(UploadStep::of_video_ad(Params(&write.params)))
        }
        ("POST", Kind::Video, UPLOAD_PATH) => WriteAction::Upload(UploadStep::Whole),
        ("POST", Kind::Campaign | Kind::AdSet | Kind::Ad, "copies") => WriteAction::Copy,
        ("POST", Kind::Campaign | Kind::AdSet, "budget_schedules") => WriteAction::Schedule,
        _ => return None,
    })
}
