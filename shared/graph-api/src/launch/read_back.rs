//! What Meta keeps of what a launch has created, held against what was asked for. Meta drops what it does not know, and
//! switches features on by itself (Marketing API, "Advantage+ creative").

use domain::entity::Level;
use domain::id::EntityId;
use domain::launch::{Difference, Launch, Step};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::form::form;
use super::{CreativeDifference, DuplicateSpec, LaunchPlan};
use crate::batch::Item;
use crate::client::UserClient;
use crate::error::GraphError;

/// Characters that are kept of a value, asked for or shown.
const MAX_EXCERPT_CHARS: usize = 200;

/// Where the features are that Meta may switch on in a creative.
const FEATURES_PATH: &str = "degrees_of_freedom_spec.creative_features_spec";

/// What is compared, where it was asked for. Left out is what Meta keeps in another form than it takes: names, which bear
/// a mark until the end; who pays, which it keeps only where a law wants it; addresses of pictures.
fn compared_fields(level: Level) -> &'static str {
    match level {
        Level::Account => "id",
        Level::Campaign => {
            "objective,special_ad_categories,daily_budget,lifetime_budget,spend_cap,bid_strategy,promoted_object,\
             budget_schedules.limit(50){time_start,time_end,budget_value,budget_value_type}"
        }
        Level::AdSet => {
            "targeting,optimization_goal,billing_event,daily_budget,lifetime_budget,bid_strategy,bid_amount,bid_constraints,\
             start_time,end_time,adset_schedule,destination_type,attribution_spec,promoted_object,\
             budget_schedules.limit(50){time_start,time_end,budget_value,budget_value_type}"
        }
        Level::Ad => {
            "conversion_domain,creative{id,url_tags,degrees_of_freedom_spec,destination_spec,object_story_spec,\
             object_story_id,source_instagram_media_id,product_set_id,asset_feed_spec}"
        }
    }
}

impl UserClient {
    /// Reads what a launch has created, and returns where it is not what was asked for.
    pub async fn launch_differences(
        &self,
        launch: &Launch,
        plan: &LaunchPlan,
    ) -> Result<Vec<Difference>, GraphError> {
        let read = |step: Step, id: &EntityId| {
            Item::get(id.as_str(), vec![("fields", compared_fields(step.level()).to_owned())])
        };
        let items: Vec<Item> = launch.created.iter().map(|created| read(created.step, &created.id)).collect();
        let shown = self.batch::<Value>(&items).await;
        let asked = match plan {
            LaunchPlan::Document(spec) => {
                let asked = |step| Ok(asked_of(form(launch, spec, step)));
                launch.created.iter().map(|created| asked(created.step)).collect()
            }
            LaunchPlan::Duplicate(duplicate) => self.sources(launch, duplicate, read).await,
        };
        let mut differences = Vec::new();
        for ((created, shown), asked) in launch.created.iter().zip(shown).zip(asked) {
            let (asked, shown) = match (asked, shown) {
                (Ok(asked), Ok(shown)) => (asked, shown),
                (Err(error), _) | (_, Err(error)) if error.is_retryable() => return Err(error),
                // What cannot be read is not said to differ.
                _ => continue,
            };
            for (field, asked, shown) in compare(created.step.level(), &asked, &shown) {
                let (asked, shown) = (excerpt(&asked), excerpt(&shown));
                differences.push(Difference { step: created.step, field, asked, shown });
            }
        }
        Ok(differences)
    }

    /// Reads a creative, and returns where it is not what was asked for.
    pub(crate) async fn creative_differences(
        &self,
        id: &str,
        asked: Map<String, Value>,
    ) -> Result<Vec<CreativeDifference>, GraphError> {
        let fields =
            compared_fields(Level::Ad).split_once('{').map_or("", |(_, rest)| rest.trim_end_matches('}'));
        let shown: Value = self.get(id, &[("fields", fields)]).await?;
        let (asked, shown) =
            (Map::from_iter([("creative".to_owned(), asked.into())]), json!({"creative": shown}));
        let difference = |(field, asked, shown): (String, String, String)| {
            let field = field.trim_start_matches("creative.").to_owned();
            CreativeDifference { field, asked: excerpt(&asked), shown: excerpt(&shown) }
        };
        Ok(compare(Level::Ad, &asked, &shown).into_iter().map(difference).collect())
    }

    /// Reads what a duplicate was copied from. Its times and the campaign's budget may be others.
    async fn sources(
        &self,
        launch: &Launch,
        duplicate: &DuplicateSpec,
        read: impl Fn(Step, &EntityId) -> Item,
    ) -> Vec<Result<Map<String, Value>, GraphError>> {
        let source = |step| duplicate.object(step).map_or(&duplicate.copy_of, |(source, _)| source);
        let items: Vec<Item> =
            launch.created.iter().map(|created| read(created.step, source(created.step))).collect();
        let mut sources = self.batch::<Map<String, Value>>(&items).await;
        for (source, created) in sources.iter_mut().zip(&launch.created) {
            let Ok(source) = source else { continue };
            for own in ["id", "start_time", "end_time"] {
                source.remove(own);
            }
            if created.step == Step::Campaign {
                source.remove("daily_budget");
            }
            if let Some(schedules) = source.remove("budget_schedules") {
                let schedules = to_be_copied(schedules, self.graph().now());
                source.extend(schedules.map(|schedules| ("budget_schedules".to_owned(), schedules)));
            }
            if let Some(creative) = source.get_mut("creative").and_then(Value::as_object_mut) {
                creative.remove("id");
            }
        }
        sources
    }
}

/// Returns the values of a form, as Meta shows them.
fn asked_of(form: Vec<(&'static str, String)>) -> Map<String, Value> {
    let value = |text: String| match serde_json::from_str::<Value>(&text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => value,
        _ => text.into(),
    };
    let mut asked: Map<_, _> = form.into_iter().map(|(name, text)| (name.to_owned(), value(text))).collect();
    if let Some(schedules) = asked.remove("budget_schedule_specs") {
        asked.insert("budget_schedules".to_owned(), as_shown(schedules));
    }
    if let Some(creative) = asked.get_mut("creative").and_then(Value::as_object_mut) {
        let existing = creative.remove("creative_id");
        creative.extend(existing.map(|id| ("id".to_owned(), id)));
    }
    asked
}

/// Returns the budget schedules of an edge that a copy should have: not those that are over, and without ids of their own.
fn to_be_copied(mut edge: Value, now: Timestamp) -> Option<Value> {
    let Value::Array(mut schedules) = edge["data"].take() else { return None };
    let is_over = |schedule: &Value| {
        let end = schedule["time_end"].as_str().and_then(|end| end.parse::<Timestamp>().ok());
        end.is_some_and(|end| end <= now)
    };
    schedules.retain(|schedule| !is_over(schedule));
    for schedule in schedules.iter_mut().filter_map(Value::as_object_mut) {
        schedule.remove("id");
    }
    (!schedules.is_empty()).then(|| json!({"data": schedules}))
}

/// Returns budget schedules as their edge has them, whose times are text.
fn as_shown(mut schedules: Value) -> Value {
    for schedule in schedules.as_array_mut().into_iter().flatten() {
        for time in ["time_start", "time_end"] {
            let moment = schedule[time].as_i64().and_then(|seconds| Timestamp::from_second(seconds).ok());
            schedule[time] = moment.map(|moment| moment.to_string()).into();
        }
    }
    json!({"data": schedules})
}

/// Returns each value that is not shown as it was asked for, and each feature that was not: its path, what was asked for
/// and what is shown.
fn compare(level: Level, asked: &Map<String, Value>, shown: &Value) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let is_compared =
        |field: &str| compared_fields(level).split([',', '{', '}', '.']).any(|compared| compared == field);
    for (field, asked) in asked.iter().filter(|(field, _)| is_compared(field)) {
        let mut asked = asked.clone();
        if let Some(creative) = asked.as_object_mut().filter(|_| field == "creative") {
            creative.retain(|part, _| is_compared(part));
        }
        compare_value(field, &asked, &shown[field], &mut found);
    }
    // Of a creative that existed before nothing was asked.
    if let Some(asked) = asked.get("creative").filter(|creative| creative.get("id").is_none()) {
        let asked = features(asked);
        for (name, feature) in features(&shown["creative"]).into_iter().flatten() {
            let was_asked = asked.is_some_and(|asked| asked.contains_key(name));
            if feature["enroll_status"] == "OPT_IN" && !was_asked {
                let path = format!("creative.{FEATURES_PATH}.{name}");
                found.push((path, "nothing".to_owned(), "OPT_IN".to_owned()));
            }
        }
    }
    found
}

fn features(creative: &Value) -> Option<&Map<String, Value>> {
    creative.pointer(&format!("/{}", FEATURES_PATH.replace('.', "/")))?.as_object()
}

fn compare_value(path: &str, asked: &Value, shown: &Value, found: &mut Vec<(String, String, String)>) {
    match (asked, shown) {
        (Value::Null, _) => {}
        (Value::Array(asked), _) if asked.is_empty() => {}
        (Value::Object(asked), Value::Object(shown)) => {
            for (name, asked) in asked.iter().filter(|(name, _)| !is_address(name)) {
                compare_value(
                    &format!("{path}.{name}"),
                    asked,
                    shown.get(name).unwrap_or(&Value::Null),
                    found,
                );
            }
        }
        (Value::Array(asked), Value::Array(shown)) => {
            for asked in asked {
                let is_shown = shown.iter().any(|shown| {
                    let mut found = Vec::new();
                    compare_value(path, asked, shown, &mut found);
                    found.is_empty()
                });
                if !is_shown {
                    found.push((path.to_owned(), text(asked), text(&shown.as_slice().into())));
                }
            }
        }
        _ if is_same(asked, shown) => {}
        _ => found.push((path.to_owned(), text(asked), text(shown))),
    }
}

/// Meta keeps pictures under addresses of its own.
fn is_address(name: &str) -> bool {
    ["image_url", "picture"].contains(&name)
}

/// Numbers and texts, moments with any offset, and addresses with or without a last slash.
fn is_same(asked: &Value, shown: &Value) -> bool {
    let (asked, shown) = (text(asked), text(shown));
    let moments = (asked.parse::<Timestamp>(), shown.parse::<Timestamp>());
    asked.trim_end_matches('/') == shown.trim_end_matches('/')
        || matches!(moments, (Ok(asked), Ok(shown)) if asked == shown)
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// What is said of a value: an item of the table holds many.
fn excerpt(text: &str) -> String {
    text.chars().take(MAX_EXCERPT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differences(level: Level, asked: Value, shown: Value) -> Vec<(String, String, String)> {
        compare(level, asked.as_object().unwrap(), &shown)
    }

    #[test]
    fn what_is_shown_in_another_form_is_the_same() {
        let asked = json!({
            "name": "Spring [1]", "daily_budget": "5000", "start_time": "2026-12-01T09:00:00+08:00",
            "targeting": {"geo_locations": {"countries": ["SG"]}, "age_min": 25},
        });
        let places = json!({"countries": ["MY", "SG"], "location_types": ["home"]});
        let shown = json!({
            "name": "Spring", "daily_budget": 5000, "start_time": "2026-12-01T01:00:00+0000",
            "targeting": {"geo_locations": places, "age_min": 25, "age_max": 65},
        });
        assert_eq!(differences(Level::AdSet, asked, shown), []);
        let story = |data: Value| json!({"creative": {"object_story_spec": {"link_data": data}}});
        let asked = story(json!({"link": "https://example.com"}));
        let shown = story(json!({"link": "https://example.com/", "picture": "https://example.com/signed"}));
        assert_eq!(differences(Level::Ad, asked, shown), []);
        let asked = json!({"special_ad_categories": [], "spend_cap": "50000"});
        assert_eq!(differences(Level::Campaign, asked, json!({"spend_cap": "50000"})), []);
    }

    #[test]
    fn what_is_missing_other_or_switched_on_is_named() {
        let paths = |found: &[(String, String, String)]| {
            let last = |(path, ..): &(String, String, String)| path.rsplit('.').next().unwrap().to_owned();
            found.iter().map(last).collect::<Vec<_>>()
        };
        let asked = json!({"bid_strategy": "COST_CAP", "targeting": {"age_min": 25, "genders": [2]}});
        let shown = json!({"bid_strategy": "LOWEST_COST_WITHOUT_CAP", "targeting": {"age_min": 25}});
        assert_eq!(paths(&differences(Level::AdSet, asked, shown)), ["bid_strategy", "genders"]);

        let status = |status| json!({"creative_features_spec": {"video_uncrop": {"enroll_status": status}}});
        let mut features = status("OPT_IN");
        features["creative_features_spec"]["product_extensions"] = json!({"enroll_status": "OPT_IN"});
        features["creative_features_spec"]["image_animation"] = json!({"enroll_status": "OPT_OUT"});
        let asked = json!({"creative": {"degrees_of_freedom_spec": status("OPT_OUT")}});
        let shown = json!({"creative": {"id": "9", "degrees_of_freedom_spec": features}});
        let found = differences(Level::Ad, asked, shown.clone());
        assert_eq!(paths(&found), ["enroll_status", "product_extensions"]);
        assert_eq!((&*found[1].1, &*found[1].2), ("nothing", "OPT_IN"));
        // Of a creative that existed before nothing was asked.
        assert_eq!(differences(Level::Ad, json!({"creative": {"id": "9"}}), shown), []);
    }
}
