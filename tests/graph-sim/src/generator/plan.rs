//! The plan of a generated account: which objects there are and how they behave.

use super::seeded_rng::SeededRng;
use crate::config::Generator;

/// The goal of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    Sales,
    Traffic,
    Leads,
}

/// The plan of one campaign.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CampaignPlan {
    pub(crate) goal: Goal,
    pub(crate) delivers: bool,
    pub(crate) status: &'static str,
    /// Whether the budget is set on the campaign instead of on its ad sets.
    pub(crate) holds_budget: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct AdSetPlan {
    pub(crate) campaign: usize,
    pub(crate) status: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct AdPlan {
    pub(crate) adset: usize,
    pub(crate) campaign: usize,
    pub(crate) goal: Goal,
    pub(crate) delivers: bool,
    /// Whether the ad delivers for some weeks and pauses for some weeks, like ads that started late or stopped.
    pub(crate) in_flights: bool,
    /// Whether the ad finds no audience on some days.
    pub(crate) rests: bool,
    pub(crate) video: bool,
    pub(crate) status: &'static str,
}

/// The plan of the whole account.
pub(crate) struct Plan {
    pub(crate) rng: SeededRng,
    pub(crate) campaigns: Vec<CampaignPlan>,
    pub(crate) adsets: Vec<AdSetPlan>,
    pub(crate) ads: Vec<AdPlan>,
}

impl Plan {
    /// Plans an account. Properties are assigned by position rather than at random, so that a small account has all of
    /// them and the first campaign always delivers.
    pub(crate) fn new(generator: &Generator) -> Self {
        let rng = SeededRng::new(generator.identity());
        let campaigns: Vec<CampaignPlan> = (0..generator.campaigns as usize).map(campaign).collect();
        let adsets: Vec<AdSetPlan> = (0..generator.adsets as usize)
            .filter(|_| !campaigns.is_empty())
            .map(|adset| AdSetPlan {
                campaign: adset % campaigns.len(),
                status: if adset % 9 == 4 { "PAUSED" } else { "ACTIVE" },
            })
            .collect();
        let ads = (0..generator.ads as usize)
            .filter(|_| !adsets.is_empty())
            .map(|ad| {
                let adset = ad % adsets.len();
                let above = adsets[adset];
                let campaign = campaigns[above.campaign];
                let status = if ad % 11 == 5 { "PAUSED" } else { "ACTIVE" };
                let stopped =
                    [status, above.status, campaign.status].iter().any(|status| *status != "ACTIVE");
                AdPlan {
                    adset,
                    campaign: above.campaign,
                    goal: campaign.goal,
                    delivers: generator.every_day || campaign.delivers,
                    in_flights: !generator.every_day && (stopped || ad % 7 == 3),
                    rests: !generator.every_day,
                    video: ad % 3 == 0,
                    status,
                }
            })
            .collect();
        Self { rng, campaigns, adsets, ads }
    }
}

fn campaign(index: usize) -> CampaignPlan {
    // Of twenty campaigns three never deliver, two are archived and two are paused.
    let slot = (index * 7 + 10) % 20;
    CampaignPlan {
        goal: match index % 10 {
            3 | 8 => Goal::Traffic,
            5 => Goal::Leads,
            _ => Goal::Sales,
        },
        delivers: slot > 2,
        status: match slot {
            3 | 4 => "ARCHIVED",
            5 | 6 => "PAUSED",
            _ => "ACTIVE",
        },
        holds_budget: index.is_multiple_of(2),
    }
}
