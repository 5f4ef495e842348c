//! `auth-meta` on AWS Lambda.

use access::lambda::{self, Parts};
use auth_meta::AuthMeta;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::lambda::Error> {
    let Parts { access, host, .. } = lambda::start().await?;
    let function = AuthMeta::new(access, host.clone());
    lambda::run(&host, "auth-meta", |request| function.handle(request), lambda::no_jobs).await
}
