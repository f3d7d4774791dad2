use serde_json::json;

use super::bucket;

#[test]
fn an_address_is_a_reference_in_every_verb() {
    let (env, _served) = bucket();
    env.write("a b.txt", "hello");
    env.haul(["upload", "-p", "s3://bucket", "a b.txt", "--metadata", "author=Ä b", "--ids"]).ok();
    env.haul(["cp", "a b.txt", "s3://bucket/dir/sub/", "--ids"]).ok();
    env.haul(["cp", "s3://bucket/a b.txt", "s3://bucket/dir/copy.md"]).ok();
    assert_eq!(
        env.line("ls s3://bucket --ids").ok().sorted().lines(),
        ["a b.txt", "dir/copy.md", "dir/sub/a b.txt"]
    );
    assert_eq!(env.line("ls s3://bucket/dir/ --ids").ok().sorted().lines(), ["copy.md", "sub/a b.txt"]);
    assert_eq!(env.line("ls s3://bucket/dir/*.md --ids").ok().lines(), ["dir/copy.md"]);
    let copy = &env.line("info s3://bucket/dir/copy.md --jsonl").ok().files()[0];
    assert_eq!((copy.profile.as_str(), copy.size), ("s3://bucket", Some(5)));
    assert_eq!(copy.content_type.as_deref(), Some("text/plain"));
    assert_eq!(json!(copy.metadata), json!({ "author": "Ä b" }));
    assert!(copy.checksums.sha256.is_some(), "{copy:?}");
    assert_eq!(env.haul(["get", "s3://bucket/a b.txt", "-o", "-"]).ok().stdout(), "hello");
    env.line("get s3://bucket/dir/ -o out").fails(2);
    env.line("get s3://bucket/dir/* -o out/").ok();
    assert_eq!(env.read("out/dir/copy.md"), b"hello");
    env.line("meta set s3://bucket/dir/copy.md year=1807 --type text/markdown").ok();
    let copy = &env.line("info s3://bucket/dir/copy.md --jsonl").ok().files()[0];
    assert_eq!(json!(copy.metadata), json!({ "author": "Ä b", "year": "1807" }));
    assert_eq!(copy.content_type.as_deref(), Some("text/markdown"));
    assert!(copy.checksums.sha256.is_some(), "the checksum stays");
    env.line("meta set s3://bucket/dir/copy.md --name other.md").fails(5);
    let link = env.line("link s3://bucket/dir/copy.md --expires 10m").ok().stdout();
    assert!(link.contains("/s3/bucket/dir/copy.md?") && link.contains("X-Amz-Expires=600"), "{link}");
    env.line("link s3://bucket/dir/copy.md --expires 8d").fails(5).says("s3 accepts 1s to 168h");
    env.line("du s3://bucket/").ok();
    env.line("cp s3://bucket/dir/ local:").ok();
    assert_eq!(env.line("ls --fields name").ok().sorted().lines(), ["copy.md", "sub/a b.txt"]);
    env.line("rm s3://bucket/dir/copy.md").ok();
    env.line("rm s3://bucket/dir/copy.md").fails(3);
    env.line("rm s3://bucket:id:dir/sub/a%20b.txt").fails(3);
    env.haul(["rm", "s3://bucket/dir/:id:sub/a b.txt"]).ok();
    assert_eq!(env.line("ls s3://bucket/ --ids").ok().lines(), ["a b.txt"]);
}

#[test]
fn any_key_is_listed_and_read() {
    let (env, _served) = bucket();
    env.write("x", "content");
    let keys = ["a//b", "/lead", "100% {x}", "plus+and space", "ü/報告", "tab\tquote\"'", "~._-", "trail."];
    for key in keys {
        env.haul(["upload", "-p", "s3://bucket", "x", "--name", key]).ok();
        let address = format!("s3://bucket:id:{key}");
        assert_eq!(env.haul(["get", &address, "-o", "-"]).ok().stdout(), "content", "{key}");
    }
    let listed = env.line("ls s3://bucket --jsonl").ok().files();
    let mut found: Vec<&str> = listed.iter().map(|file| file.name.as_str()).collect();
    let mut keys = keys.to_vec();
    found.sort_unstable();
    keys.sort_unstable();
    assert_eq!(found, keys);
    for key in ["a/../b", "./a"] {
        env.haul(["upload", "-p", "s3://bucket", "x", "--name", key]).fails(2).says("is not a valid key");
    }
}

#[test]
fn an_upload_never_replaces_an_object_by_accident() {
    let (env, _served) = bucket();
    let upload = |options: &str| env.line(&format!("upload -p s3://bucket a.txt {options}"));
    env.write("a.txt", "one");
    upload("").ok();
    upload("").fails(1).says("a.txt already exists on s3");
    upload("--if-exists skip").ok().says("reused");
    env.write("a.txt", "other");
    upload("--if-exists skip").fails(5).says("a.txt already exists on s3");
    upload("--if-exists fail").fails(1);
    assert_eq!(env.line("get s3://bucket/a.txt -o -").ok().stdout(), "one");
    upload("--if-exists update").ok().says("replaced");
    assert_eq!(env.line("get s3://bucket/a.txt -o -").ok().stdout(), "other");
    upload("--if-exists update").ok().says("reused");
    env.write("a.txt", "third");
    upload("--if-exists replace --dry-run").ok();
    upload("--if-exists replace").ok();
    env.write("b.txt", "fourth");
    env.line("upload b.txt -p s3 --set bucket=bucket --to id:a.txt").ok();
    assert_eq!(env.line("get s3://bucket/a.txt -o -").ok().stdout(), "fourth");
    assert_eq!(env.line("ls s3://bucket --ids").ok().lines(), ["a.txt"]);
}

#[test]
fn sync_replaces_objects_in_place() {
    let (env, served) = bucket();
    for name in ["docs/a.txt", "docs/sub/b.txt", "docs/c.txt"] {
        env.write(name, name);
    }
    let sync = |options: &str| env.line(&format!("sync docs s3://bucket/site/ {options}"));
    let keys = || env.line("ls s3://bucket --ids").ok().sorted().lines();
    sync("").ok().says("3 uploaded");
    assert_eq!(keys(), ["site/a.txt", "site/c.txt", "site/sub/b.txt"]);
    served.requests();
    sync("").ok().says("3 unchanged");
    assert_eq!(served.requests().iter().filter(|line| !line.starts_with("GET")).count(), 0, "one listing");
    env.write("docs/a.txt", "changed a");
    sync("--check").fails(9);
    sync("").ok().says("1 replaced, 2 unchanged");
    assert_eq!(env.line("get s3://bucket/site/a.txt -o -").ok().stdout(), "changed a");
    assert_eq!(keys().len(), 3);
    std::fs::remove_file(env.work().join("docs/c.txt")).unwrap();
    sync("--delete").ok().says("1 deleted");
    assert_eq!(keys(), ["site/a.txt", "site/sub/b.txt"]);
    // A change by another program is a conflict, and so is an object that haul sync did not upload.
    env.write("x", "foreign content");
    env.line("upload x -p s3 --set bucket=bucket --to id:site/a.txt").ok();
    env.write("docs/a.txt", "changed again");
    env.line("upload x -p s3://bucket --name site/new.txt").ok();
    env.write("docs/new.txt", "ours");
    sync("").fails(5).says("the content of a.txt was changed on s3").says("new.txt already exists on s3");
    assert_eq!(env.line("get s3://bucket/site/a.txt -o -").ok().stdout(), "foreign content");
    assert_eq!(env.line("get s3://bucket/site/new.txt -o -").ok().stdout(), "foreign content");
    // A fresh machine adopts the files whose checksums match, without a download.
    std::fs::remove_file(env.work().join("haul.lock")).unwrap();
    env.write("docs/a.txt", "foreign content");
    env.write("docs/new.txt", "foreign content");
    served.requests();
    sync("").ok().says("3 adopted");
    let log = served.requests();
    assert!(
        log.iter().all(|line| line.starts_with("HEAD") || line.starts_with("GET /s3/bucket?")),
        "{log:?}"
    );
}
