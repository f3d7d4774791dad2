use super::bucket;
use crate::support::s3::{KEY_ID, SECRET};
use crate::support::sandbox::Sandbox;
use crate::support::server::{Answer, Server};

/// A sandbox for a bucket, with no credentials set.
fn without() -> (Sandbox, crate::support::emulator::Emulator) {
    let (env, served) = bucket();
    (env.with_var("AWS_ACCESS_KEY_ID", "").with_var("AWS_SECRET_ACCESS_KEY", ""), served)
}

#[test]
fn without_credentials_nothing_is_sent() {
    let (env, served) = without();
    let run = env.line("ls s3://bucket").fails(4);
    insta::assert_snapshot!(run.stderr(), @r#"
    error: no credentials for s3
    hint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write them to ~/.aws/credentials
    hint: after `aws sso login`: `eval "$(aws configure export-credentials --format env)"`
    hint: on an EC2 instance: `--set metadata=true`
    "#);
    assert_eq!(served.requests(), Vec::<String>::new());
    let run = env.line("ls -p s3").fails(2);
    insta::assert_snapshot!(run.stderr(), @"
    error: s3: no bucket
    hint: use an address, such as `s3://BUCKET/KEY`
    hint: or use a setting: `--set bucket=NAME`
    ");
}

#[test]
fn profiles_of_aws_have_credentials() {
    let (env, served) = without();
    let folder = env.home().join(".aws");
    std::fs::create_dir(&folder).unwrap();
    let keys = format!("aws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n");
    let wrong = "aws_access_key_id = other\naws_secret_access_key = x\n";
    std::fs::write(folder.join("credentials"), format!("[default]\n{wrong}[work]\n{keys}")).unwrap();
    std::fs::write(
        folder.join("config"),
        "[profile work]\nregion = eu-west-1\n[profile sso]\nsso_session = s\n",
    )
    .unwrap();
    env.line("ls s3://bucket").fails(4).says("InvalidAccessKeyId");
    env.line("ls -p s3 --set bucket=bucket --set aws_profile=work").ok();
    let work = env.clone().with_var("AWS_PROFILE", "work");
    env.write("x", "x");
    work.line("upload -p s3://bucket x").ok();
    let scope = |env: &Sandbox| env.line("link s3://bucket/x").ok().stdout();
    assert!(scope(&work).contains("%2Feu-west-1%2Fs3%2F"));
    env.line("ls -p s3 --set bucket=bucket --set aws_profile=none")
        .fails(2)
        .says("~/.aws has no profile \"none\"");
    env.clone().with_var("AWS_PROFILE", "sso").line("ls s3://bucket").fails(4).says("no credentials for s3");
    // Variables come before the default profile.
    let variables =
        env.clone().with_var("AWS_ACCESS_KEY_ID", KEY_ID).with_var("AWS_SECRET_ACCESS_KEY", SECRET);
    variables.line("ls s3://bucket").ok();
    drop(served);
}

#[test]
fn a_container_has_credentials_from_its_service() {
    let (env, _served) = without();
    let body = format!(
        r#"{{"AccessKeyId":"{KEY_ID}","SecretAccessKey":"{SECRET}","Token":"a session","Expiration":"2099-01-01T00:00:00Z"}}"#
    );
    let service = Server::new(move |_, request| match request.header("authorization") {
        Some("token of the pod") => Answer::json(&body),
        _ => Answer::new(403, "no"),
    });
    let file = env.write("token", "token of the pod");
    let env = env
        .with_var("AWS_CONTAINER_CREDENTIALS_FULL_URI", service.at("/creds").as_str())
        .with_var("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.to_str().unwrap());
    env.line("ls s3://bucket").ok();
    assert_eq!(service.lines(), ["GET /creds"]);
    std::fs::write(file, "wrong").unwrap();
    env.line("ls s3://bucket").fails(4).says("s3 needs credentials");
}
