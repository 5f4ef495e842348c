//! template.yaml as written, before SAM expands it to plain CloudFormation.

use std::fs;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};
use serde_yaml_ng::Value as Yaml;

use crate::process::root;

/// The only pattern that roles may name: schedules get their names at run time.
pub const SCHEDULE_ARN_PATTERN: &str =
    "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/${Schedules}/*";

/// The template.
#[derive(Debug, Clone)]
pub struct Template(Value);

/// A Lambda function of the template.
#[derive(Debug, Clone, Copy)]
pub struct Function<'a> {
    /// Its logical id, such as `SyncEntities`.
    pub id: &'a str,
    /// Its properties.
    pub properties: &'a Value,
}

/// One allowed action on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// Such as `dynamodb:GetItem`.
    pub action: String,
    /// The resource as the template names it: `Table.Arn`, or the text of a `!Sub`.
    pub resource: String,
}

/// Returns the text of the template's file.
pub fn text() -> anyhow::Result<String> {
    let path = root().join("template.yaml");
    fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))
}

impl Template {
    /// Reads the template in the workspace.
    pub fn read() -> anyhow::Result<Self> {
        Self::parse(&text()?)
    }

    /// Parses a template's text. `!Ref Table` becomes `{"Ref": "Table"}`, `!Sub` and the others `{"Fn::Sub": …}`.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        to_json(serde_yaml_ng::from_str(text).context("template.yaml is no YAML")?).map(Self)
    }

    /// Returns the resource with this logical id.
    pub fn resource(&self, id: &str) -> &Value {
        &self.0["Resources"][id]
    }

    /// Returns every resource of a type, with its properties.
    pub fn resources<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let resources = self.0["Resources"].as_object().into_iter().flatten();
        resources
            .filter(move |(_, resource)| resource["Type"] == kind)
            .map(|(id, resource)| (id.as_str(), &resource["Properties"]))
    }

    /// Returns every function.
    pub fn functions(&self) -> impl Iterator<Item = Function<'_>> {
        let functions = self.resources("AWS::Serverless::Function");
        functions.map(|(id, properties)| Function { id, properties })
    }

    /// Returns the statements of a role or a user.
    pub fn statements(&self, id: &str) -> impl Iterator<Item = &Value> {
        let policies = list(&self.resource(id)["Properties"]["Policies"]);
        policies.iter().flat_map(|policy| list(&policy["PolicyDocument"]["Statement"]))
    }

    /// Returns the grants of a role or a user, one for each action on each resource.
    pub fn grants(&self, id: &str) -> anyhow::Result<Vec<Grant>> {
        let mut grants = Vec::new();
        for statement in self.statements(id) {
            // Denials are tested separately.
            if statement["Effect"] == "Deny" {
                continue;
            }
            if statement["Effect"] != "Allow" {
                bail!("a statement of {id} is no plain Allow");
            }
            for action in list(&statement["Action"]) {
                for resource in list(&statement["Resource"]) {
                    let action = action.as_str().with_context(|| format!("{action} of {id} is no text"))?;
                    let resource = reference_name(resource).with_context(|| format!("{resource} of {id}"))?;
                    grants.push(Grant { action: action.to_owned(), resource });
                }
            }
        }
        grants.sort();
        Ok(grants)
    }
}

impl Function<'_> {
    /// Returns the function's folder, which is also its name.
    pub fn folder(&self) -> Option<&str> {
        self.properties["FunctionName"]["Fn::Sub"].as_str()?.strip_prefix("${AWS::StackName}-")
    }

    /// Returns its role's logical id.
    pub fn role(&self) -> Option<&str> {
        self.properties["Role"]["Fn::GetAtt"].as_str()?.strip_suffix(".Arn")
    }

    /// Returns its events of a type.
    pub fn events<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let events = self.properties["Events"].as_object().into_iter().flatten();
        events.filter(move |(_, event)| event["Type"] == kind).map(|(_, event)| &event["Properties"])
    }
}

/// Returns a list: CloudFormation accepts a single value where it takes a list.
pub fn list(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(values) => values,
        one => std::slice::from_ref(one),
    }
}

/// Returns how the template names a value: `Table` of a `!Ref`, `Table.Arn` of a `!GetAtt`, the text of a `!Sub`.
fn reference_name(value: &Value) -> Option<String> {
    let function = ["Ref", "Fn::GetAtt", "Fn::Sub"].iter().find_map(|function| value.get(function));
    function.unwrap_or(value).as_str().map(str::to_owned)
}

fn to_json(yaml: Yaml) -> anyhow::Result<Value> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => value.into(),
        Yaml::Number(number) => serde_json::to_value(number)?,
        Yaml::String(text) => text.into(),
        Yaml::Sequence(values) => values.into_iter().map(to_json).collect::<anyhow::Result<_>>()?,
        Yaml::Mapping(pairs) => {
            let mut object = Map::new();
            for (key, value) in pairs {
                let key = key.as_str().with_context(|| format!("the key {key:?} is no text"))?.to_owned();
                object.insert(key, to_json(value)?);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => match tagged.tag.to_string().trim_start_matches('!') {
            name @ ("Ref" | "Condition") => json!({name: to_json(tagged.value)?}),
            name => json!({format!("Fn::{name}"): to_json(tagged.value)?}),
        },
    })
}
