//! What a function is built from on AWS: the environment, and the clients of the parts that it uses.

use aws_config::{BehaviorVersion, SdkConfig};
use domain::FieldError;
use domain::job::Queue;

use crate::env::{Env, MissingVariables};
use crate::queue::{QueueAddress, Queues, dead_letter_queue_name};
use crate::schedule::{ScheduleConfig, Schedules};
use crate::secrets::StoredSecret;
use crate::session::SessionConfig;
use crate::telemetry::{self, Format};

/// AWS as a function finds it at its start: the environment, and the clients that it takes from here.
///
/// Everything out of the environment is asked for first; [`Aws::check`] then names all that is missing at once.
pub struct Aws {
    env: Env,
    sdk: SdkConfig,
}

/// The app at Meta, out of the environment.
pub struct MetaApp {
    /// The app's id.
    pub id: String,
    /// The Graph version, such as `v26.0`.
    pub version: String,
    /// Where calls go.
    pub graph_url: String,
    /// Where people log in.
    pub dialog_url: String,
}

impl Aws {
    /// Starts logging and finds out region and credentials.
    pub async fn load() -> Self {
        telemetry::init(Format::Json, "info");
        Self { env: Env::default(), sdk: aws_config::defaults(BehaviorVersion::latest()).load().await }
    }

    /// Fails when something was asked for that the environment does not say.
    pub fn check(&mut self) -> Result<(), MissingVariables> {
        std::mem::take(&mut self.env).check()
    }

    /// The table's client, and its name.
    pub fn table(&mut self) -> (aws_sdk_dynamodb::Client, String) {
        (aws_sdk_dynamodb::Client::new(&self.sdk), self.env.required("TABLE_NAME"))
    }

    /// The queues. `QUEUE_BASE_URL` and `QUEUE_BASE_ARN` are what comes before each queue's name.
    pub fn queues(&mut self) -> Queues {
        let (url, arn) = (self.env.required("QUEUE_BASE_URL"), self.env.required("QUEUE_BASE_ARN"));
        let names =
            Queue::ALL.into_iter().flat_map(|queue| [queue.name().to_owned(), dead_letter_queue_name(queue)]);
        let addresses = names.map(|name| {
            let address = QueueAddress { url: format!("{url}{name}"), arn: format!("{arn}{name}") };
            (name, address)
        });
        Queues::new(aws_sdk_sqs::Client::new(&self.sdk), addresses.collect())
    }

    /// The schedules that send to these queues.
    pub fn schedules(&mut self, queues: &Queues) -> Schedules {
        let (group, role_arn) = (self.env.required("SCHEDULE_GROUP"), self.env.required("SCHEDULE_ROLE_ARN"));
        let client = aws_sdk_scheduler::Client::new(&self.sdk);
        Schedules::new(client, ScheduleConfig { group, role_arn }, queues.clone())
    }

    /// Whom we trust to say who somebody is. Without `SESSION_JWKS` the issuer publishes its keys.
    pub fn sessions(&mut self) -> SessionConfig {
        SessionConfig {
            issuer: self.env.required("SESSION_ISSUER"),
            audience: self.env.required("SESSION_AUDIENCE"),
            algorithms: Env::optional("SESSION_ALGORITHMS"),
            jwks: Env::optional("SESSION_JWKS"),
            trust_role_claims: Env::optional("SESSION_CLAIMS").is_some_and(|said| said == "trusted"),
        }
    }

    /// How many requests a workspace may make in a minute.
    pub fn requests_per_minute(&mut self) -> Result<u32, FieldError> {
        let number = self.env.required("REQUESTS_PER_MINUTE").parse().ok().filter(|number| *number > 0);
        number.ok_or_else(|| FieldError::new("REQUESTS_PER_MINUTE", "must be a whole number of at least 1"))
    }

    /// The app at Meta.
    pub fn meta_app(&mut self) -> MetaApp {
        let or = |name, default: &str| Env::optional(name).unwrap_or_else(|| default.to_owned());
        MetaApp {
            id: self.env.required("META_APP_ID"),
            version: or("META_GRAPH_VERSION", "v26.0"),
            graph_url: or("META_GRAPH_URL", "https://graph.facebook.com"),
            dialog_url: or("META_DIALOG_URL", "https://www.facebook.com"),
        }
    }

    /// The configuration of Facebook Login for Business by which people may log in, and whether it issues tokens of
    /// system users; none where there is none.
    pub fn login_configuration(&mut self) -> Option<(String, bool)> {
        let id = Env::optional("META_LOGIN_CONFIG_ID")?;
        let system_user = Env::optional("META_LOGIN_CONFIG_TOKEN").is_some_and(|kind| kind == "system_user");
        Some((id, system_user))
    }

    /// Where the API is reached from outside, when that is not where requests come in.
    pub fn public_url(&self) -> Option<String> {
        Env::optional("PUBLIC_URL").map(|url| url.trim_end_matches('/').to_owned())
    }

    /// What the app and Meta both know.
    pub fn app_secrets(&mut self) -> StoredSecret {
        self.secret("META_APP_SECRET_ID")
    }

    /// The keys that seal tokens.
    pub fn keyring(&mut self) -> StoredSecret {
        self.secret("KEYRING_SECRET_ID")
    }

    fn secret(&mut self, variable: &'static str) -> StoredSecret {
        StoredSecret::new(aws_sdk_secretsmanager::Client::new(&self.sdk), &self.env.required(variable))
    }
}
