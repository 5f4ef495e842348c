//! The HttpApi events of template.yaml, made of the declarations of endpoints.

use anyhow::{Context, ensure};
use http::Method;

use crate::routes::{Route, routes};

/// Where the template is, below the workspace's folder.
pub const TEMPLATE: &str = "template.yaml";

const BEGIN: &str = "        # Endpoints, written by `cargo xtask template`:\n";
const END: &str = "        # End of the endpoints.\n";

/// The template with the events of every function made anew. Each function that has endpoints must hold the two lines
/// between which they stand.
pub fn with_events(template: &str) -> anyhow::Result<String> {
    let mut made = template.to_owned();
    let routes = routes();
    let mut functions: Vec<_> = routes.iter().map(|route| route.function).collect();
    functions.dedup();
    for function in functions {
        let name = format!("FunctionName: !Sub '${{AWS::StackName}}-{function}'\n");
        let resource = made.find(&name).with_context(|| format!("{TEMPLATE} has no {function}"))?;
        let begin = made[resource..].find(BEGIN).with_context(|| format!("{function} has no endpoints"))?;
        let begin = resource + begin + BEGIN.len();
        let length = made[begin..].find(END).with_context(|| format!("{function}: {}", END.trim()))?;
        let next = made[resource + 1..].find("FunctionName: ").map_or(made.len(), |next| resource + 1 + next);
        ensure!(begin + length < next, "the endpoints of {function} stand in another function");
        let of_function = routes.iter().filter(|route| route.function == function);
        made.replace_range(begin..begin + length, &of_function.map(event).collect::<String>());
    }
    Ok(made)
}

/// The events of an operation, named after it.
fn event(route: &Route) -> String {
    let name: String = route.operation.id.split('_').map(capitalized).collect();
    let Route { declaration, .. } = route;
    let path = declaration.path;
    let path = if path.contains('{') { format!("'{path}'") } else { path.to_owned() };
    let event = |method: Method| {
        let suffix = if method == Method::HEAD { "Head" } else { "" };
        format!(
            "        {name}{suffix}:\n          Type: HttpApi\n          Properties: {{ApiId: !Ref Api, Method: {method}, Path: {path}}}\n"
        )
    };
    route.methods().into_iter().map(event).collect()
}

pub(crate) fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(usize::from(!word.is_empty()));
    first.to_ascii_uppercase() + rest
}
