//! The template and the code agree. Every rule is checked against the template, where it finds nothing, and against
//! copies with a single mistake, which it must find.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should stop where it stands"
)]

use std::collections::BTreeSet;
use std::fs;

use domain::job::Queue;
use hosts::process::root;
use hosts::template::{Function, SCHEDULE_ARN_PATTERN, Template, list, text};
use runtime::AppSecrets;
use runtime::keyring::KeyringDocument;
use runtime::origins;
use runtime::queue::dead_letter_queue_name;
use runtime::telemetry::{METRIC_DIMENSION, METRIC_NAMESPACE, TelemetryMetric};
use secrecy::SecretString;
use serde_json::{Value, json};
use store::live::SORT_KEY_PREFIXES;

/// The violations of a rule, in words.
pub(crate) type Violations = Vec<String>;

/// Asserts that a rule accepts the template, and rejects it with each `sound` text replaced by its `broken` one.
pub(crate) fn assert_rule(rule: impl Fn(&Template) -> Violations, mutations: &[(&str, &str)]) {
    let text = text().unwrap();
    assert_eq!(rule(&Template::parse(&text).unwrap()), Violations::new());
    for (sound, broken) in mutations {
        assert!(text.contains(sound), "the template does not say {sound:?} any more");
        let template = Template::parse(&text.replacen(sound, broken, 1)).unwrap();
        assert_ne!(rule(&template), Violations::new(), "{broken:?} instead of {sound:?} is not found");
    }
}

/// Returns what is missing and what was not expected.
pub(crate) fn compare(expected: &BTreeSet<String>, found: &BTreeSet<String>) -> Violations {
    let missing = expected.difference(found).map(|one| format!("missing: {one}"));
    missing.chain(found.difference(expected).map(|one| format!("not expected: {one}"))).collect()
}

/// Returns the logical id of a function: `sync-entities` is `SyncEntities` in the template.
pub(crate) fn id_of(folder: &str) -> String {
    let words = folder.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
    words.collect()
}

pub(crate) fn folder_of(function: &Function<'_>) -> String {
    function.folder().unwrap_or_else(|| panic!("{} has no name", function.id)).to_owned()
}

fn get_att(id: &str, attribute: &str) -> Value {
    json!({"Fn::GetAtt": format!("{id}.{attribute}")})
}

#[test]
fn browsers_may_do_in_the_cloud_what_they_may_on_a_laptop() {
    let text = text().unwrap();
    let list = |names: &[&str]| format!("[{}]", names.join(", "));
    let methods = origins::METHODS.map(|method| method.to_string());
    for line in [
        format!("AllowMethods: [{}]", methods.join(", ")),
        format!("AllowHeaders: {}", list(&origins::REQUEST_HEADERS)),
        format!("ExposeHeaders: {}", list(&origins::RESPONSE_HEADERS)),
        format!("MaxAge: {}", origins::MAX_AGE_SECONDS),
    ] {
        assert!(text.contains(&line), "the template does not say {line}");
    }
}

#[test]
fn the_api_has_the_routes_of_the_code_and_no_other() {
    assert_rule(
        |template| {
            let mut expected = BTreeSet::new();
            for route in openapi::routes() {
                let (function, path) = (route.function, route.path);
                let methods = route.methods().into_iter();
                expected.extend(methods.map(|method| format!("{function}: {method} {path}")));
            }
            let mut found = BTreeSet::new();
            for function in template.functions() {
                for event in function.events("HttpApi") {
                    assert_eq!(event["ApiId"], json!({"Ref": "Api"}), "{}", function.id);
                    let (method, path) = (event["Method"].as_str(), event["Path"].as_str());
                    found.insert(format!("{}: {} {}", folder_of(&function), method.unwrap(), path.unwrap()));
                }
            }
            compare(&expected, &found)
        },
        &[("Method: PATCH", "Method: POST"), ("/v1/auth/meta/callback}", "/v1/auth/meta/return}")],
    );
}

#[test]
fn every_function_is_a_folder_and_every_folder_a_function() {
    assert_rule(
        |template| {
            let folders = fs::read_dir(root().join("functions")).unwrap();
            // What has no program of its own runs on Workers alone.
            let folders =
                folders.map(|entry| entry.unwrap()).filter(|entry| entry.path().join("src/main.rs").exists());
            let folders = folders.map(|entry| entry.file_name().into_string().unwrap());
            let expected = folders.map(|folder| format!("{} is target/lambda/{folder}", id_of(&folder)));
            let found = template.functions().map(|function| {
                let (name, uri) = (folder_of(&function), function.properties["CodeUri"].as_str().unwrap());
                assert_eq!(uri, format!("target/lambda/{name}"), "{}", function.id);
                format!("{} is {uri}", function.id)
            });
            compare(&expected.collect(), &found.collect())
        },
        &[("\n  QueryInsights:", "\n  QueryNumbers:")],
    );
}

#[test]
fn every_queue_of_the_code_exists_with_dead_letters_and_a_visibility_of_six_timeouts() {
    assert_rule(
        |template| {
            let mut violations = Violations::new();
            let mut expected = BTreeSet::new();
            for queue in Queue::ALL {
                let id = id_of(queue.name());
                expected.extend([format!("{id}Queue"), format!("{id}DeadLetters")]);
                let properties = &template.resource(&format!("{id}Queue"))["Properties"];
                let dead = &template.resource(&format!("{id}DeadLetters"))["Properties"];
                let function = &template.resource(&id)["Properties"];
                let named = |name: &str| json!({"Fn::Sub": format!("${{AWS::StackName}}-{name}")});
                let timeout = function["Timeout"].as_u64().unwrap();
                let mut must = |what: &str, is_met: bool| {
                    if !is_met {
                        violations.push(format!("{}: {what}", queue.name()));
                    }
                };
                must("the queue's name", properties["QueueName"] == named(queue.name()));
                must("the dead letters' name", dead["QueueName"] == named(&dead_letter_queue_name(queue)));
                let redrive = json!({"deadLetterTargetArn": get_att(&format!("{id}DeadLetters"), "Arn"), "maxReceiveCount": 5});
                must("given up at the fifth time", properties["RedrivePolicy"] == redrive);
                must("six timeouts", properties["VisibilityTimeout"].as_u64() == Some(6 * timeout));
                must("encrypted", properties["SqsManagedSseEnabled"] == true);
                must("dead letters encrypted", dead["SqsManagedSseEnabled"] == true);
                let two_weeks = json!(14 * 24 * 3600);
                must("dead letters kept for two weeks", dead["MessageRetentionPeriod"] == two_weeks);

                let function = Function { id: &id, properties: function };
                let sources: Vec<_> = function.events("SQS").collect();
                must("one queue for the function", sources.len() == 1);
                for source in sources {
                    must("its own queue", source["Queue"] == get_att(&format!("{id}Queue"), "Arn"));
                    let partial = json!(["ReportBatchItemFailures"]);
                    must("fails by message", source["FunctionResponseTypes"] == partial);
                    must("a bound", !source["ScalingConfig"]["MaximumConcurrency"].is_null());
                }
            }
            let found = template.resources("AWS::SQS::Queue").map(|(id, _)| id.to_owned());
            violations.extend(compare(&expected, &found.collect()));
            violations
        },
        &[
            ("VisibilityTimeout: 1800", "VisibilityTimeout: 300"),
            ("maxReceiveCount: 5", "maxReceiveCount: 1"),
            ("-evaluate-rules-dead'", "-evaluate-rules-lost'"),
            ("            FunctionResponseTypes: [ReportBatchItemFailures]\n", ""),
            ("MaximumConcurrency: 2", "Concurrency: 2"),
            ("      SqsManagedSseEnabled: true\n", ""),
        ],
    );
}

#[test]
fn every_permission_is_a_single_action_on_a_single_resource() {
    assert_rule(
        |template| {
            let mut violations = Violations::new();
            for function in template.functions() {
                if function.role() != Some(&format!("{}Role", function.id)) {
                    violations.push(format!("{} has no role of its own", function.id));
                }
                if !function.properties["Policies"].is_null() {
                    violations.push(format!("{} has policies that SAM would write", function.id));
                }
            }
            for kind in ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::Group"] {
                violations
                    .extend(template.resources(kind).map(|(id, _)| format!("{id} stands outside the roles")));
            }
            let whose = ["AWS::IAM::Role", "AWS::IAM::User"];
            for (id, properties) in whose.into_iter().flat_map(|kind| template.resources(kind)) {
                if !properties["ManagedPolicyArns"].is_null() {
                    violations.push(format!("{id} takes policies that others write"));
                }
                let grants = template.grants(id).unwrap();
                if grants.is_empty() {
                    violations.push(format!("{id} may do nothing"));
                }
                for grant in grants {
                    let (service, call) = grant.action.split_once(':').unwrap_or_default();
                    let one_call = !service.is_empty() && call.bytes().all(|b| b.is_ascii_alphabetic());
                    // A scan would read the data of all workspaces.
                    if !one_call || call == "Scan" {
                        violations.push(format!("{id}: {}", grant.action));
                    }
                    let thing = grant.resource.split('.').next().unwrap_or_default();
                    let ours = service == "scheduler" && grant.resource == SCHEDULE_ARN_PATTERN;
                    if !template.resource(thing).is_object() && !ours {
                        violations.push(format!("{id}: {} on {}", grant.action, grant.resource));
                    }
                }
            }
            violations
        },
        &[
            (
                "[dynamodb:GetItem, dynamodb:BatchGetItem, dynamodb:Query, dynamodb:UpdateItem]",
                "[dynamodb:*]",
            ),
            (
                "[dynamodb:GetItem, dynamodb:BatchGetItem, dynamodb:Query, dynamodb:UpdateItem]",
                "[dynamodb:GetItem, dynamodb:Scan]",
            ),
            ("Resource: !GetAtt Table.Arn", "Resource: '*'"),
            ("schedule/${Schedules}/*'", "schedule/*'"),
            ("      Role: !GetAtt WebhookIngestRole.Arn\n", ""),
            ("      Role: !GetAtt WebhookIngestRole.Arn", "      Role: !GetAtt SyncEntitiesRole.Arn"),
        ],
    );
}

/// As far as DynamoDB can restrict access to partitions: by patterns of their keys. It cannot forbid a put that
/// replaces an entry, because a put of a new item and one over an old item are the same call; the code puts on the
/// condition that there is none, and the hash chain reveals any other put.
#[test]
fn no_function_may_delete_or_change_entries_of_an_audit_log() {
    let partition = store::key::audit_partition(&"demo".parse().unwrap());
    assert!(partition.starts_with("WS#") && partition.ends_with("#AUDIT"), "{partition}");
    let denied = json!({
        "Effect": "Deny",
        "Action": ["dynamodb:DeleteItem", "dynamodb:UpdateItem"],
        "Resource": get_att("Table", "Arn"),
        "Condition": {"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["WS#*#AUDIT"]}},
    });
    assert_rule(
        |template| {
            let mut violations = Violations::new();
            for function in template.functions() {
                let role = function.role().unwrap_or_default();
                let grants = template.grants(role).unwrap();
                let is_allowed =
                    |call: &str| grants.iter().any(|grant| grant.action == format!("dynamodb:{call}"));
                let denies_changes = template.statements(role).any(|statement| *statement == denied);
                if (is_allowed("DeleteItem") || is_allowed("UpdateItem")) && !denies_changes {
                    violations.push(format!("{role} may delete or change entries"));
                }
                // Other calls that could remove or replace many entries at once.
                for call in
                    ["BatchWriteItem", "PartiQLDelete", "PartiQLUpdate", "DeleteTable", "UpdateTimeToLive"]
                {
                    if is_allowed(call) {
                        violations.push(format!("{role} may call {call}"));
                    }
                }
            }
            violations
        },
        &[
            (
                "      - Effect: Deny\n                Action: [dynamodb:DeleteItem, dynamodb:UpdateItem]",
                "      - Effect: Deny\n                Action: [dynamodb:DeleteItem]",
            ),
            ("['WS#*#AUDIT']", "['WS#*#OTHER']"),
        ],
    );
}

#[test]
fn every_failure_has_an_alarm() {
    assert_rule(
        |template| {
            let mut violations = Violations::new();
            let mut alarms = BTreeSet::new();
            for (id, alarm) in template.resources("AWS::CloudWatch::Alarm") {
                for list in [&alarm["AlarmActions"], &alarm["OKActions"]] {
                    if *list != json!([{"Ref": "Alarms"}]) {
                        violations.push(format!("{id} does not ring where people listen"));
                    }
                }
                let (namespace, metric) = (alarm["Namespace"].as_str(), alarm["MetricName"].as_str());
                let of = &list(&alarm["Dimensions"])[0]["Value"];
                alarms.insert(format!("{} {} of {of}", namespace.unwrap(), metric.unwrap()));
            }
            let mut needed = BTreeSet::new();
            let mut need = |metric: &str, of: Value| needed.insert(format!("{metric} of {of}"));
            for function in template.functions() {
                need("AWS/Lambda Errors", json!({"Ref": function.id}));
                need("AWS/Lambda Throttles", json!({"Ref": function.id}));
            }
            for queue in Queue::ALL {
                let id = id_of(queue.name());
                let dead = get_att(&format!("{id}DeadLetters"), "QueueName");
                need("AWS/SQS ApproximateNumberOfMessagesVisible", dead);
                need("AWS/SQS ApproximateAgeOfOldestMessage", get_att(&format!("{id}Queue"), "QueueName"));
            }
            for consumer in ["Workspaces", "LiveUpdates"] {
                need("AWS/Lambda IteratorAge", json!({"Ref": consumer}));
            }
            need("AWS/ApiGateway 5xx", json!({"Ref": "Api"}));
            for metric in ["StaleAccounts", "ExpiringTokens", "NeedsReconnect", "VersionProblems"] {
                need(&format!("Adflight {metric}"), json!({"Ref": "SyncEntities"}));
            }
            need("Adflight SignatureFailures", json!({"Ref": "WebhookIngest"}));
            violations.extend(compare(&needed, &alarms));
            violations
        },
        &[
            ("MetricName: Errors", "MetricName: Error"),
            ("      AlarmActions: [!Ref Alarms]\n", ""),
            (
                "Value: !GetAtt SyncMetricsChunkDeadLetters.QueueName",
                "Value: !GetAtt SyncMetricsChunkQueue.QueueName",
            ),
        ],
    );
}

/// The two consumers of the table's stream get what they act on: the outbox new audit entries, live updates what somebody
/// looks at.
#[test]
fn consumers_of_the_stream_get_the_items_that_they_act_on() {
    assert_rule(
        |template| {
            let mut expected = BTreeSet::from([
                "Workspaces INSERT ENTRY#".to_owned(),
                "LiveUpdates INSERT MODIFY".to_owned(),
            ]);
            expected.extend(SORT_KEY_PREFIXES.map(|prefix| format!("LiveUpdates {prefix}")));
            let mut found = BTreeSet::new();
            for function in template.functions() {
                for source in function.events("DynamoDB") {
                    let pattern = source["FilterCriteria"]["Filters"][0]["Pattern"].as_str().unwrap();
                    let pattern: Value = serde_json::from_str(pattern).unwrap();
                    let names: Vec<_> = list(&pattern["eventName"]).iter().flat_map(Value::as_str).collect();
                    let prefixes = list(&pattern["dynamodb"]["Keys"]["sk"]["S"]).iter();
                    let prefixes: Vec<_> = prefixes.flat_map(|one| one["prefix"].as_str()).collect();
                    let (id, names) = (function.id, names.join(" "));
                    match &prefixes[..] {
                        [prefix] => found.extend([format!("{id} {names} {prefix}")]),
                        many => {
                            found.insert(format!("{id} {names}"));
                            found.extend(many.iter().map(|prefix| format!("{id} {prefix}")));
                        }
                    }
                }
            }
            compare(&expected, &found)
        },
        &[(r#"["INSERT"],"#, r#"["MODIFY"],"#), (r#"{"prefix":"CHUNK#"},"#, "")],
    );
}

#[test]
fn every_function_has_its_own_log_group_with_a_retention() {
    assert_rule(
        |template| {
            let mut violations = Violations::new();
            let mut expected = BTreeSet::new();
            for function in template.functions() {
                let id = format!("{}LogGroup", function.id);
                let group = &template.resource(&id)["Properties"];
                let name =
                    json!({"Fn::Sub": format!("/aws/lambda/${{AWS::StackName}}-{}", folder_of(&function))});
                let sound = function.properties["LoggingConfig"]["LogGroup"] == json!({"Ref": id})
                    && group["LogGroupName"] == name
                    && !group["RetentionInDays"].is_null();
                if !sound {
                    violations.push(format!("the log of {}", function.id));
                }
                expected.insert(id);
            }
            let found = template.resources("AWS::Logs::LogGroup").map(|(id, _)| id.to_owned());
            violations.extend(compare(&expected, &found.collect()));
            violations
        },
        &[
            ("      RetentionInDays: !Ref LogRetentionDays\n", ""),
            ("LogGroup: !Ref AuthMetaLogGroup", "LogGroup: !Ref QueryInsightsLogGroup"),
        ],
    );
}

#[test]
fn the_dashboard_is_json_and_stays_within_the_fifty_free_metrics() {
    assert_rule(
        |template| {
            let body = &template.resource("Dashboard")["Properties"]["DashboardBody"]["Fn::Sub"];
            let Ok(body) = serde_json::from_str::<Value>(body.as_str().unwrap()) else {
                return vec!["no JSON".to_owned()];
            };
            let metrics =
                list(&body["widgets"]).iter().map(|widget| list(&widget["properties"]["metrics"]).len());
            let metrics: usize = metrics.sum();
            if (1..=50).contains(&metrics) { Violations::new() } else { vec![format!("{metrics} metrics")] }
        },
        &[("\"widgets\": [", "\"widgets\": "), ("\"widgets\"", "\"gadgets\"")],
    );
}

#[test]
fn every_custom_metric_in_an_alarm_or_on_the_dashboard_is_emitted() {
    assert_rule(
        |template| {
            let body = &template.resource("Dashboard")["Properties"]["DashboardBody"]["Fn::Sub"];
            let body: Value = serde_json::from_str(body.as_str().unwrap()).unwrap_or_default();
            let dashboard_metrics =
                list(&body["widgets"]).iter().flat_map(|widget| list(&widget["properties"]["metrics"]));
            let dashboard_metrics =
                dashboard_metrics.map(|metric| (metric[0].clone(), metric[1].clone(), metric[2].clone()));
            let alarm_metrics = template.resources("AWS::CloudWatch::Alarm").map(|(_, alarm)| {
                let dimension = &list(&alarm["Dimensions"])[0]["Name"];
                (alarm["Namespace"].clone(), alarm["MetricName"].clone(), dimension.clone())
            });
            let of_aws = |namespace: &Value| namespace.as_str().is_some_and(|name| name.starts_with("AWS/"));
            let sent = |metric: &Value| TelemetryMetric::ALL.iter().any(|known| metric == known.name());
            dashboard_metrics
                .chain(alarm_metrics)
                .filter(|(namespace, _, _)| !of_aws(namespace))
                .filter(|(namespace, metric, by)| {
                    namespace != METRIC_NAMESPACE || by != METRIC_DIMENSION || !sent(metric)
                })
                .map(|(namespace, metric, by)| format!("{namespace} {metric} by {by}"))
                .collect()
        },
        &[
            ("MetricName: StaleAccounts", "MetricName: StaleAccount"),
            ("Namespace: Adflight", "Namespace: adflight"),
            ("\"FactsWritten\", \"Function\"", "\"Facts\", \"Function\""),
            ("\"GraphCalls\", \"Function\"", "\"GraphCalls\", \"FunctionName\""),
        ],
    );
}

#[test]
fn the_programs_can_parse_the_generated_secrets() {
    assert_rule(
        |template| {
            let mut violations = Violations::new();
            let made = |id: &str| &template.resource(id)["Properties"]["GenerateSecretString"];
            let document = |id: &str, generated: &str| {
                let template = made(id)["SecretStringTemplate"].as_str().unwrap();
                let mut document: Value = serde_json::from_str(template).unwrap();
                document[made(id)["GenerateStringKey"].as_str().unwrap()] = json!(generated);
                SecretString::from(document.to_string())
            };
            // The printable ASCII characters, from which Secrets Manager draws unless some are excluded.
            let excluded = made("KeyringSecret")["ExcludeCharacters"].as_str().unwrap();
            let digits: String = (b'!'..=b'~').map(char::from).filter(|c| !excluded.contains(*c)).collect();
            if digits != "0123456789abcdef" {
                violations.push(format!("keys would consist of {digits}"));
            }
            let length = made("KeyringSecret")["PasswordLength"].as_u64().unwrap();
            let key = digits.chars().cycle().take(length as usize).collect::<String>();
            violations.extend(
                KeyringDocument::parse(&document("KeyringSecret", &key)).err().map(|error| error.to_string()),
            );

            match AppSecrets::parse(&document("AppSecret", "generated")) {
                // Nothing starts until an operator has put the real secret.
                Err(refused) if refused.to_string().contains("has not been put") => {}
                other => violations.push(format!("the placeholder of the app's secret is read as {other:?}")),
            }
            violations
        },
        &[
            ("PasswordLength: 64", "PasswordLength: 32"),
            ("        ExcludeCharacters: 'ghijk", "        ExcludeCharacters: 'hijk"),
            ("\"app_secret\":\"put the real one here\"", "\"app_secret\":\"secret\""),
        ],
    );
}
