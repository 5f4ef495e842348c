//! `auth-meta` on AWS Lambda.

use access::lambda::start_with;
use ads::job::Queue;
use auth_meta::{AuthMeta, LoginConfiguration, Settings};
use runtime::lambda::{Error, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let (access, host, secrets, login) = start_with(|aws| aws.login_configuration()).await?;
    let login = login.map(|(id, system_user)| LoginConfiguration { id, system_user });
    let function = AuthMeta::new(access, host.clone(), Settings { secrets, login });
    serve(
        &host.queues,
        &host.clock,
        Queue::AuthMeta,
        |request| function.handle(request),
        |job| function.process(job),
    )
    .await
}
