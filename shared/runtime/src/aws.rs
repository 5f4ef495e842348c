//! Builds a function's configuration and clients on AWS from the environment.

use aws_config::{BehaviorVersion, SdkConfig};
use domain::FieldError;
use domain::job::Queue;

use crate::env::{Env, MissingVariables};
use crate::origins::AllowedOrigins;
use crate::queue::{QueueAddress, Queues, dead_letter_queue_name};
use crate::schedule::{ScheduleConfig, Schedules};
use crate::secrets::StoredSecret;
use crate::session::SessionConfig;
use crate::telemetry::{self, Format};

/// Starts a function on AWS: starts logging, resolves region and credentials, and returns the configuration that `read`
/// reads. Reports every missing variable at once.
pub async fn start<T>(read: impl FnOnce(&mut Aws) -> T) -> Result<T, MissingVariables> {
    telemetry::init(Format::Json, "info");
    let sdk = aws_config::defaults(BehaviorVersion::latest()).load().await;
    let mut aws = Aws { env: Env::default(), sdk };
    let configuration = read(&mut aws);
    aws.env.check()?;
    Ok(configuration)
}

/// Environment and AWS clients of a function at its start.
pub struct Aws {
    env: Env,
    sdk: SdkConfig,
}

/// Configuration of the app at Meta.
pub struct MetaApp {
    /// App id.
    pub id: String,
    /// Graph API version, such as `v26.0`.
    pub version: String,
    /// Base URL of the Graph API.
    pub graph_url: String,
    /// Base URL of the login dialog.
    pub dialog_url: String,
}

impl Aws {
    /// Returns the DynamoDB client and the table's name.
    pub fn table(&mut self) -> (aws_sdk_dynamodb::Client, String) {
        (aws_sdk_dynamodb::Client::new(&self.sdk), self.env.required("TABLE_NAME"))
    }

    /// Returns the queues. `QUEUE_BASE_URL` and `QUEUE_BASE_ARN` are prefixes of each queue's name.
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

    /// Returns the schedules that send to these queues.
    pub fn schedules(&mut self, queues: &Queues) -> Schedules {
        let (group, role_arn) = (self.env.required("SCHEDULE_GROUP"), self.env.required("SCHEDULE_ROLE_ARN"));
        let client = aws_sdk_scheduler::Client::new(&self.sdk);
        Schedules::new(client, ScheduleConfig { group, role_arn }, queues.clone())
    }

    /// Returns the issuer's configuration. Without `SESSION_JWKS` the keys are fetched from the issuer.
    pub fn sessions(&mut self) -> SessionConfig {
        SessionConfig {
            issuer: self.env.required("SESSION_ISSUER"),
            audience: self.env.required("SESSION_AUDIENCE"),
            algorithms: Env::optional("SESSION_ALGORITHMS"),
            jwks: Env::optional("SESSION_JWKS"),
            trust_role_claims: Env::optional("SESSION_CLAIMS").is_some_and(|said| said == "trusted"),
        }
    }

    /// Returns the rate limit: requests per minute and workspace.
    pub fn requests_per_minute(&mut self) -> Result<u32, FieldError> {
        let number = self.env.required("REQUESTS_PER_MINUTE").parse().ok().filter(|number| *number > 0);
        number.ok_or_else(|| FieldError::new("REQUESTS_PER_MINUTE", "must be a whole number of at least 1"))
    }

    /// Returns the configuration of the app at Meta.
    pub fn meta_app(&mut self) -> MetaApp {
        let or = |name, default: &str| Env::optional(name).unwrap_or_else(|| default.to_owned());
        MetaApp {
            id: self.env.required("META_APP_ID"),
            version: or("META_GRAPH_VERSION", "v26.0"),
            graph_url: or("META_GRAPH_URL", "https://graph.facebook.com"),
            dialog_url: or("META_DIALOG_URL", "https://www.facebook.com"),
        }
    }

    /// Returns the configuration id of Facebook Login for Business and whether it issues system-user tokens; none where
    /// it is not configured.
    pub fn login_configuration(&mut self) -> Option<(String, bool)> {
        let id = Env::optional("META_LOGIN_CONFIG_ID")?;
        let system_user = Env::optional("META_LOGIN_CONFIG_TOKEN").is_some_and(|kind| kind == "system_user");
        Some((id, system_user))
    }

    /// Returns the origins of front ends.
    pub fn allowed_origins(&mut self) -> Result<AllowedOrigins, FieldError> {
        AllowedOrigins::parse(&Env::optional("ALLOWED_ORIGINS").unwrap_or_default())
            .map_err(|error| FieldError::new("ALLOWED_ORIGINS", error.message))
    }

    /// Returns the API's public URL, if it differs from where requests are received.
    pub fn public_url(&self) -> Option<String> {
        Env::optional("PUBLIC_URL").map(|url| url.trim_end_matches('/').to_owned())
    }

    /// Returns the stored [`AppSecrets`](crate::AppSecrets).
    pub fn app_secrets(&mut self) -> StoredSecret {
        self.secret("META_APP_SECRET_ID")
    }

    /// Returns the stored keyring.
    pub fn keyring(&mut self) -> StoredSecret {
        self.secret("KEYRING_SECRET_ID")
    }

    /// Returns the address of the hub of live events and the secret with its key, where there is a hub.
    pub fn live_hub(&mut self) -> Option<(String, StoredSecret)> {
        let url = Env::optional("LIVE_HUB_URL")?;
        Some((url, self.secret("LIVE_HUB_SECRET_ID")))
    }

    fn secret(&mut self, variable: &'static str) -> StoredSecret {
        StoredSecret::new(aws_sdk_secretsmanager::Client::new(&self.sdk), &self.env.required(variable))
    }
}
