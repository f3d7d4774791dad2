use super::{bucket, bucket_with};
use crate::support::raw::noise;

const MIB: usize = 1024 * 1024;

#[test]
fn an_interrupted_upload_continues_with_the_missing_parts() {
    let (env, served) = bucket_with(&["fail=403 PUT s3/bucket/big.bin nth=5"]);
    let content = noise(41 * MIB);
    env.write("big.bin", &content);
    env.line("upload -p s3://bucket big.bin --retries 0 --metadata a=b").fails(4);
    let count = |lines: &[String], method: &str| lines.iter().filter(|line| line.starts_with(method)).count();
    assert_eq!(count(&served.requests(), "POST"), 1, "the upload was begun");
    env.line("upload -p s3://bucket big.bin --metadata a=b").ok();
    let log = served.requests();
    assert_eq!(count(&log, "POST"), 1, "the upload was completed");
    // Four parts are sent at a time, so at least one had arrived.
    assert!((1..6).contains(&count(&log, "PUT")), "{log:?}");
    let file = &env.line("info s3://bucket/big.bin --jsonl").ok().files()[0];
    assert_eq!((file.size, file.metadata["a"].as_str()), (Some(41 * MIB as u64), Some("b")));
    assert!(file.extra["etag"].as_str().unwrap().ends_with("-6\""), "six parts");
    env.line("get s3://bucket/big.bin -o out.bin").ok();
    assert!(env.read("out.bin") == content);
}

#[test]
fn an_upload_in_parts_replaces_nothing_by_accident() {
    let (env, served) = bucket();
    let content = noise(17 * MIB);
    env.write("big.bin", &content);
    env.line("upload -p s3://bucket big.bin").ok();
    env.line("upload -p s3://bucket big.bin").fails(1).says("big.bin already exists on s3");
    env.line("upload -p s3://bucket big.bin --if-exists skip").ok().says("reused");
    env.write("big.bin", &content[1..]);
    served.requests();
    env.line("upload -p s3://bucket big.bin --if-exists update").ok().says("replaced");
    env.line("get s3://bucket/big.bin -o out.bin").ok();
    assert!(env.read("out.bin") == content[1..]);
}

#[test]
fn a_lost_answer_does_not_store_a_file_twice() {
    for (size, fault) in
        [(5, "lose PUT s3/bucket/a.bin nth=1"), (17 * MIB, "lose POST s3/bucket/a.bin nth=2")]
    {
        let (env, served) = bucket_with(&[fault]);
        env.write("a.bin", noise(size));
        let uploaded = env.clone().with_real_clock().line("upload -p s3://bucket a.bin --jsonl").ok();
        assert_eq!(uploaded.files()[0].size, Some(size as u64), "{fault}");
        let sent = served.requests().iter().filter(|line| line.starts_with("PUT")).count();
        assert_eq!(sent, size.div_ceil(8 * MIB), "{fault}");
    }
}
