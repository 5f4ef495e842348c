//! `auth-meta` on AWS Lambda.

use access::lambda::start;
use auth_meta::AuthMeta;
use runtime::lambda::{Error, serve_requests};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let (access, host) = start().await?;
    let function = AuthMeta::new(access, host);
    serve_requests(|request| function.handle(request)).await
}
