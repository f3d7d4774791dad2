use crate::support::s3::{KEY_ID, SECRET};
use crate::support::sandbox::{Run, Sandbox};
use crate::support::server::{Answer, Server};

/// Runs a line against a server with this response.
fn run(line: &str, answer: Answer) -> Run {
    let server = Server::repeating([answer]);
    let env = Sandbox::new()
        .with_var("AWS_ENDPOINT_URL", server.url.as_str())
        .with_var("AWS_ACCESS_KEY_ID", KEY_ID)
        .with_var("AWS_SECRET_ACCESS_KEY", SECRET);
    env.line(&format!("{line} --retries 0"))
}

fn problem(status: u16, code: &str, message: &str) -> Answer {
    let body =
        format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    Answer::new(status, body).header("Content-Type", "application/xml")
}

#[test]
fn an_error_of_the_service_says_what_to_do() {
    let ls = |answer| {
        let run = run("ls s3://bucket", answer);
        format!("{}\n{}", run.status, run.stderr())
    };
    insta::assert_snapshot!(ls(problem(403, "InvalidAccessKeyId", "The key does not exist in our records.")), @r#"
    4
    error: s3 returned 403: The key does not exist in our records (InvalidAccessKeyId)
    hint: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile in ~/.aws
    "#);
    insta::assert_snapshot!(ls(problem(403, "SignatureDoesNotMatch", "The signature does not match.")), @r#"
    4
    error: s3 returned 403: The signature does not match (SignatureDoesNotMatch)
    hint: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile in ~/.aws
    "#);
    insta::assert_snapshot!(ls(problem(403, "AccessDenied", "Access Denied")), @r#"
    4
    error: s3 returned 403: Access Denied (AccessDenied)
    hint: the credentials are valid, but do not allow this operation
    "#);
    insta::assert_snapshot!(ls(problem(403, "RequestTimeTooSkewed", "The difference is too large.")), @r#"
    1
    error: s3 returned 403: The difference is too large (RequestTimeTooSkewed)
    hint: the clock of this machine is wrong: set it, and try again
    "#);
    insta::assert_snapshot!(ls(problem(404, "NoSuchBucket", "The specified bucket does not exist")), @r#"
    1
    error: s3 returned 404: The specified bucket does not exist (NoSuchBucket)
    "#);
    let moved = problem(301, "PermanentRedirect", "Use the endpoint of the bucket.");
    insta::assert_snapshot!(ls(moved.header("x-amz-bucket-region", "eu-west-1")), @r#"
    1
    error: s3 returned 301: Use the endpoint of the bucket (PermanentRedirect)
    hint: the bucket is in the region eu-west-1: `--set region=eu-west-1`
    "#);
    insta::assert_snapshot!(ls(problem(503, "SlowDown", "Please reduce your request rate.")), @r#"
    8
    error: s3 returned 503: Please reduce your request rate (SlowDown)
    "#);
    insta::assert_snapshot!(ls(Answer::new(200, "not a list")), @r#"
    8
    error: s3's list of objects is not valid
    caused by: invalid type: string "not a list", expected struct List
    "#);
    insta::assert_snapshot!(ls(problem(200, "InternalError", "We encountered an internal error.")), @r#"
    8
    error: s3 could not complete the list of objects: We encountered an internal error (InternalError)
    "#);
}

#[test]
fn an_error_without_a_body_says_what_to_do() {
    let info = |answer| {
        let run = run("info s3://bucket:id:a.txt", answer);
        format!("{}\n{}", run.status, run.stderr())
    };
    insta::assert_snapshot!(info(Answer::new(403, "")), @r#"
    4
    error: s3 returned 403: forbidden
    "#);
    insta::assert_snapshot!(info(Answer::new(400, "").header("x-amz-bucket-region", "eu-west-1")), @r#"
    1
    error: s3 rejected the request: the bucket is in another region
    hint: the bucket is in the region eu-west-1: `--set region=eu-west-1`
    "#);
    insta::assert_snapshot!(info(Answer::new(404, "")), @r#"
    3
    error: a.txt: no such object on s3
    hint: to list the files: `haul ls -p s3://bucket`
    "#);
}

#[test]
fn a_denied_deletion_keeps_the_object() {
    let server = Server::new(|_, request| match request.method.as_str() {
        "DELETE" => problem(403, "AccessDenied", "Access Denied"),
        _ => Answer::new(200, "x"),
    });
    let env = Sandbox::new()
        .with_var("AWS_ENDPOINT_URL", server.url.as_str())
        .with_var("AWS_ACCESS_KEY_ID", KEY_ID)
        .with_var("AWS_SECRET_ACCESS_KEY", SECRET);
    let run = env.line("rm s3://bucket/a.txt").fails(4);
    insta::assert_snapshot!(run.stderr(), @r#"
    error: s3 returned 403: Access Denied (AccessDenied)
    hint: the credentials are valid, but do not allow this operation
    "#);
}
