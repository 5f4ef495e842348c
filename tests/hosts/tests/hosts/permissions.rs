//! What the roles of the template allow is what was seen to be needed: no call more, no call less.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop where it stands"
)]

use std::collections::BTreeSet;
use std::fs;

use ads::job::Queue;
use hosts::template::{ANY_OF_OUR_SCHEDULES, Function, Template, text};
use runtime::env::Env;
use runtime::queue::dead_letters;

use crate::template::{Wrongs, compare, folder_of, id_of};

/// The calls that the stories of `tests/journeys` have made: `sync-entities dynamodb:GetItem adflight` and so on.
/// `cargo xtask hosts` has them noted and names the file.
fn noted() -> String {
    let path = Env::optional("AWS_CALLS").expect("AWS_CALLS names no file: run cargo xtask hosts");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// How the template names what a call was made on.
fn resource(noted: &str) -> String {
    let queue_of = |queue: &Queue| id_of(queue.name());
    match noted {
        "adflight" => "Table.Arn".to_owned(),
        "schedules" => ANY_OF_OUR_SCHEDULES.to_owned(),
        "keyring" => "KeyringSecret.Id".to_owned(),
        queue => {
            let alive = Queue::ALL.iter().find(|known| known.name() == queue);
            let dead = Queue::ALL.iter().find(|known| dead_letters(**known) == queue);
            let alive = alive.map(|queue| format!("{}Queue.Arn", queue_of(queue)));
            let dead = dead.map(|queue| format!("{}DeadLetters.Arn", queue_of(queue)));
            alive.or(dead).unwrap_or_else(|| panic!("a call was made on {queue}, which is nothing of ours"))
        }
    }
}

/// What a function needs: what it was seen to call, and what its host does in its name.
fn needed(function: &Function<'_>, noted: &str) -> BTreeSet<String> {
    let folder = folder_of(function);
    let mut needed = BTreeSet::new();
    for line in noted.lines() {
        let [caller, action, on] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        if caller == folder {
            needed.insert(format!("{action} on {}", resource(on)));
        }
    }
    assert!(!needed.is_empty(), "the stories have not made {folder} call anything");
    let id = function.id;
    if needed.iter().any(|call| call.starts_with("scheduler:CreateSchedule")) {
        needed.insert("iam:PassRole on SchedulesRole.Arn".to_owned());
    }
    // Lambda writes its log, and takes its messages from the queue.
    for action in ["CreateLogStream", "PutLogEvents"] {
        needed.insert(format!("logs:{action} on {id}LogGroup.Arn"));
    }
    if function.events("SQS").next().is_some() {
        for action in ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"] {
            needed.insert(format!("sqs:{action} on {id}Queue.Arn"));
        }
    }
    // Lambda puts there what it invoked in vain.
    if !function.properties["EventInvokeConfig"]["DestinationConfig"]["OnFailure"].is_null() {
        needed.insert(format!("sqs:SendMessage on {id}DeadLetters.Arn"));
    }
    // The embedded functions are handed their secrets; those on Lambda are told where they are.
    let variables = &function.properties["Environment"]["Variables"];
    for (variable, secret) in [("KEYRING_SECRET_ID", "KeyringSecret"), ("META_APP_SECRET_ID", "AppSecret")] {
        if !variables[variable].is_null() {
            needed.insert(format!("secretsmanager:GetSecretValue on {secret}.Id"));
        }
    }
    needed
}

fn allowed(template: &Template, who: &str) -> BTreeSet<String> {
    let grants = template.grants(who).unwrap().into_iter();
    grants.map(|grant| format!("{} on {}", grant.action, grant.resource)).collect()
}

fn wrongs(template: &Template, noted: &str) -> Wrongs {
    let mut wrongs = Wrongs::new();
    for function in template.functions() {
        let role = function.role().unwrap();
        let wrong = compare(&needed(&function, noted), &allowed(template, role));
        wrongs.extend(wrong.into_iter().map(|wrong| format!("{role}: {wrong}")));
    }
    wrongs
}

#[test]
#[ignore = "run by cargo xtask hosts"]
fn each_role_allows_what_its_function_was_seen_to_call_and_nothing_else() {
    let (noted, text) = (noted(), text().unwrap());
    assert_eq!(wrongs(&Template::parse(&text).unwrap(), &noted), Wrongs::new());
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
        assert_ne!(wrongs(&template, &noted), Wrongs::new(), "{broken:?} instead of {sound:?} is not found");
    }
}

#[test]
fn those_who_are_no_functions_may_do_only_what_they_are_for() {
    let template = Template::read().unwrap();
    let of = |who: &str| allowed(&template, who).into_iter().collect::<Vec<_>>();
    let wakes = ["EvaluateRules", "ManageCampaign", "SyncEntities"];
    assert_eq!(of("SchedulesRole"), wakes.map(|id| format!("sqs:SendMessage on {id}Queue.Arn")));
    assert_eq!(
        of("WatchRole"),
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
