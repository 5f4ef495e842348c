//! What the roles of the template allow is what was seen to be required: no call more, no call less.

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

/// The calls that the scenarios of `tests/journeys` have made: `sync-entities dynamodb:GetItem adflight` and so on.
/// `cargo xtask hosts` has them recorded and names the file.
fn recorded_calls() -> String {
    let path = Env::optional("AWS_CALLS").expect("AWS_CALLS names no file: run cargo xtask hosts");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// How the template names what a call was made on.
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

/// What a function needs: what it was seen to call, and what its host does in its name.
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
    // Lambda writes its log, and takes its messages from the queue.
    for action in ["CreateLogStream", "PutLogEvents"] {
        required.insert(format!("logs:{action} on {id}LogGroup.Arn"));
    }
    if function.events("SQS").next().is_some() {
        for action in ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"] {
            required.insert(format!("sqs:{action} on {id}Queue.Arn"));
        }
    }
    // Lambda puts there what it invoked in vain.
    if !function.properties["EventInvokeConfig"]["DestinationConfig"]["OnFailure"].is_null() {
        required.insert(format!("sqs:SendMessage on {id}DeadLetters.Arn"));
    }
    // The embedded functions are handed their secrets; those on Lambda are told where they are.
    let variables = &function.properties["Environment"]["Variables"];
    for (variable, secret) in [("KEYRING_SECRET_ID", "KeyringSecret"), ("META_APP_SECRET_ID", "AppSecret")] {
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
fn each_role_allows_what_its_function_was_seen_to_call_and_nothing_else() {
    let (recorded, text) = (recorded_calls(), text().unwrap());
    assert_eq!(violations(&Template::parse(&text).unwrap(), &recorded), Violations::new());
    // One action too few, one too many, one on another thing.
    for (sound, broken) in [
        ("[dynamodb:GetItem, dynamodb:Query, dynamodb:UpdateItem]", "[dynamodb:GetItem, dynamodb:Query]"),
        (
            "[dynamodb:GetItem, dynamodb:Query, dynamodb:UpdateItem]",
            "[dynamodb:GetItem, dynamodb:Query, dynamodb:UpdateItem, dynamodb:PutItem]",
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
fn those_who_are_no_functions_may_do_only_what_they_are_for() {
    let template = Template::read().unwrap();
    let of = |who: &str| allowed(&template, who).into_iter().collect::<Vec<_>>();
    let targets = ["EvaluateRules", "ManageCampaign", "SyncEntities"];
    assert_eq!(of("SchedulesRole"), targets.map(|id| format!("sqs:SendMessage on {id}Queue.Arn")));
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
