//! The roles of the template allow exactly the calls that were recorded.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop where it stands"
)]

use std::collections::BTreeSet;
use std::fs;

use domain::job::Queue;
use hosts::template::{Function, SCHEDULE_ARN_PATTERN, Template, text};
use runtime::env::Env;
use runtime::queue::dead_letter_queue_name;

use crate::template::{Violations, compare, folder_of, id_of};

/// Returns the calls of the scenarios in `tests/journeys`, one a line: `sync-entities dynamodb:GetItem adflight` and so
/// on. `cargo xtask hosts` records them and names the file.
fn recorded_calls() -> String {
    let path = Env::optional("AWS_CALLS").expect("AWS_CALLS names no file: run cargo xtask hosts");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the template's name of a recorded resource.
fn resource(recorded: &str) -> String {
    let queue_of = |queue: &Queue| id_of(queue.name());
    match recorded {
        "adflight" => "Table.Arn".to_owned(),
        "schedules" => SCHEDULE_ARN_PATTERN.to_owned(),
        "keyring" => "KeyringSecret.Id".to_owned(),
        queue => {
            let alive = Queue::ALL.iter().find(|known| known.name() == queue);
            let dead = Queue::ALL.iter().find(|known| dead_letter_queue_name(**known) == queue);
            let alive = alive.map(|queue| format!("{}Queue.Arn", queue_of(queue)));
            let dead = dead.map(|queue| format!("{}DeadLetters.Arn", queue_of(queue)));
            alive.or(dead).unwrap_or_else(|| panic!("a call was made on {queue}, which is nothing of ours"))
        }
    }
}

/// Returns what a function needs: its recorded calls, and the calls that its host makes with its role.
fn required_permissions(function: &Function<'_>, recorded: &str) -> BTreeSet<String> {
    let folder = folder_of(function);
    let mut required = BTreeSet::new();
    for line in recorded.lines() {
        let [caller, action, on] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        if caller == folder {
            required.insert(format!("{action} on {}", resource(on)));
        }
    }
    assert!(!required.is_empty(), "the scenarios have not made {folder} call anything");
    let id = function.id;
    if required.iter().any(|call| call.starts_with("scheduler:CreateSchedule")) {
        required.insert("iam:PassRole on SchedulesRole.Arn".to_owned());
    }
    // Lambda writes the log, and receives the messages of the queue.
    for action in ["CreateLogStream", "PutLogEvents"] {
        required.insert(format!("logs:{action} on {id}LogGroup.Arn"));
    }
    if function.events("SQS").next().is_some() {
        for action in ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"] {
            required.insert(format!("sqs:{action} on {id}Queue.Arn"));
        }
    }
    // Lambda reads the table's stream.
    if function.events("DynamoDB").next().is_some() {
        for action in ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"] {
            required.insert(format!("dynamodb:{action} on Table.StreamArn"));
        }
    }
    // Lambda sends failed asynchronous invocations there.
    if !function.properties["EventInvokeConfig"]["DestinationConfig"]["OnFailure"].is_null() {
        required.insert(format!("sqs:SendMessage on {id}DeadLetters.Arn"));
    }
    // The embedded functions get their secrets directly; those on Lambda fetch them.
    let variables = &function.properties["Environment"]["Variables"];
    for (variable, secret) in [
        ("KEYRING_SECRET_ID", "KeyringSecret"),
        ("META_APP_SECRET_ID", "AppSecret"),
        ("LIVE_HUB_SECRET_ID", "LiveHubSecret"),
    ] {
        if !variables[variable].is_null() {
            required.insert(format!("secretsmanager:GetSecretValue on {secret}.Id"));
        }
    }
    required
}

fn allowed(template: &Template, who: &str) -> BTreeSet<String> {
    let grants = template.grants(who).unwrap().into_iter();
    grants.map(|grant| format!("{} on {}", grant.action, grant.resource)).collect()
}

fn violations(template: &Template, recorded: &str) -> Violations {
    let mut violations = Violations::new();
    for function in template.functions() {
        let role = function.role().unwrap();
        let violation = compare(&required_permissions(&function, recorded), &allowed(template, role));
        violations.extend(violation.into_iter().map(|violation| format!("{role}: {violation}")));
    }
    violations
}

#[test]
#[ignore = "run by cargo xtask hosts"]
fn each_role_allows_exactly_the_recorded_calls_of_its_function() {
    let (recorded, text) = (recorded_calls(), text().unwrap());
    assert_eq!(violations(&Template::parse(&text).unwrap(), &recorded), Violations::new());
    // One action too few, one too many, one on another resource.
    for (sound, broken) in [
        (
            "[dynamodb:GetItem, dynamodb:BatchGetItem, dynamodb:Query, dynamodb:UpdateItem]",
            "[dynamodb:GetItem, dynamodb:BatchGetItem, dynamodb:Query]",
        ),
        (
            "[dynamodb:GetItem, dynamodb:BatchGetItem, dynamodb:Query, dynamodb:UpdateItem]",
            "[dynamodb:GetItem, dynamodb:BatchGetItem, dynamodb:Query, dynamodb:UpdateItem, dynamodb:PutItem]",
        ),
        ("- !GetAtt EvaluateRulesDeadLetters.Arn", "- !GetAtt SyncEntitiesDeadLetters.Arn"),
        ("Action: scheduler:DeleteSchedule", "Action: [scheduler:CreateSchedule, scheduler:DeleteSchedule]"),
    ] {
        assert!(text.contains(sound), "the template does not say {sound:?} any more");
        let template = Template::parse(&text.replacen(sound, broken, 1)).unwrap();
        assert_ne!(
            violations(&template, &recorded),
            Violations::new(),
            "{broken:?} instead of {sound:?} is not found"
        );
    }
}

#[test]
fn roles_and_users_without_a_function_have_only_the_expected_permissions() {
    let template = Template::read().unwrap();
    let of = |who: &str| allowed(&template, who).into_iter().collect::<Vec<_>>();
    assert_eq!(of("SchedulesRole"), ["sqs:SendMessage on ManageCampaignQueue.Arn"]);
    assert_eq!(
        of("RecurringJobsRole"),
        [
            "lambda:InvokeFunction on AuthMeta.Arn",
            "lambda:InvokeFunction on SyncEntities.Arn",
            "sqs:SendMessage on AuthMetaDeadLetters.Arn",
            "sqs:SendMessage on SyncEntitiesDeadLetters.Arn"
        ]
    );
    assert_eq!(
        of("EdgeUser"),
        ["GetQueueAttributes", "SendMessage"].map(|action| format!("sqs:{action} on WebhookIngestQueue.Arn"))
    );
    let functions = template.functions().count();
    assert_eq!(template.resources("AWS::IAM::Role").count(), functions + 2);
    assert_eq!(template.resources("AWS::IAM::User").count(), 1);
}
