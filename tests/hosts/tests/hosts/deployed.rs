//! What exists after a deployment.

use hosts::deployment::{Deployment, template};
use hosts::ministack::{MiniStack, Roles};

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn the_template_is_deployed_whole() {
    let ministack = MiniStack::shared(Roles::Ignored).await.unwrap();
    let account = ministack.account("111111111111");
    let p = [
        ("MetaAppId", "1"),
        ("SessionIssuer", "i"),
        ("SessionAudience", "a"),
        ("SessionJwks", "{\"keys\":[]}"),
        ("AllowedOrigins", "https://app.example.com"),
        ("Architecture", "x86_64"),
    ];
    let d = Deployment::create(account, "adflight", &template().unwrap(), &p).await.unwrap();
    println!("{:#?} {:#?} {}", d.outputs, d.resources, d.url);
    println!("{}", d.put_app_secret("x").await.unwrap());
    println!("{}", d.queue("sync-entities").await.unwrap());
}
