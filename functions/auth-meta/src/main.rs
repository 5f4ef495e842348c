//! `auth-meta` on AWS Lambda.

use auth_meta::{AuthMeta, LoginConfiguration, Settings};
use connector::lambda::start_with;
use domain::job::Queue;
use runtime::lambda::{BoxError, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let (connector, host, secrets, (login, allowed_origins)) =
        start_with(|aws| (aws.login_configuration(), aws.allowed_origins())).await?;
    let login = login.map(|(id, system_user)| LoginConfiguration { id, system_user });
    let function = AuthMeta::new(
        connector,
        host.clone(),
        Settings { secrets, login, allowed_origins: allowed_origins? },
    );
    serve(
        &host.queues,
        &host.clock,
        Queue::AuthMeta,
        |request| function.handle(request),
        |job| function.process(job),
    )
    .await
}
