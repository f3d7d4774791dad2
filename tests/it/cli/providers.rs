//! `haul providers`

use haul::providers::REGISTRY;
use serde_json::json;

use crate::check;
use crate::platforms::{without_able, without_names};
use crate::support::sandbox::Sandbox;

#[test]
fn the_table() {
    let env = Sandbox::new();
    let known = ["local", "replicate", "activeloop", "metorial", "llamacloud", "xai"];
    let run = env.haul(["providers"]).ok();
    let lines = run.lines();
    let name_of = |line: &str| line.split('\t').next().unwrap().to_owned();
    let all: Vec<String> = lines.iter().map(|line| name_of(line)).collect();
    assert_eq!(all, REGISTRY.iter().map(|spec| spec.name).collect::<Vec<_>>());
    let shown: Vec<String> =
        lines.into_iter().filter(|line| known.contains(&name_of(line).as_str())).collect();
    check!(shown.join("\n"), @"
    local	yes	metadata, name, type, path	true	true	true	blake3, sha256	
    replicate	signed links		false	true	false	sha256, md5	104857600
    activeloop	yes	metadata	false	false	false		
    metorial	yes	title	false	true	false		
    llamacloud	yes		false	true	false		536870912
    xai	yes	name, type, path	true	true	true	blake3	52428800
    ");
    let rows = env.haul(["providers", "--json"]).ok().json();
    assert!(rows.iter().all(|row| row["upload"] == true));
    let titles = env.haul(["providers", "--fields", "name,title", "--jsonl"]).ok().jsonl();
    let expected = REGISTRY.iter().map(|spec| json!({ "name": spec.name, "title": spec.title }));
    assert_eq!(titles, expected.collect::<Vec<_>>());
    assert_eq!(titles[0], json!({ "name": "local", "title": "embedded store on this machine" }));
}

#[test]
fn a_datasheet() {
    let env = Sandbox::new();
    check!(env.terminal(120, "", &["providers", "replicate"]), @"
    status 0
    --- out
    name                     replicate
    title                    Replicate
    dialect                  api: without the signing secret
    base_url                 https://api.replicate.com/v1
    docs_url                 https://replicate.com/docs/reference/http
    token_variables          REPLICATE_API_TOKEN
    base_url_variables       REPLICATE_BASE_URL
    settings.link            signed link to use for downloads
    settings.owner           user or organization in a signed link
    settings.expiry          expiry of a signed link, in Unix seconds
    settings.signature       signature of a signed link
    settings.signing_secret  secret that signs links
    operations               list files, get a file's metadata, upload a file, delete a file, download an uploaded file
    max_size                 104.9 MB (104857600 bytes)
    name_limit               255 bytes
    name_slash               kept
    empty_files              yes
    metadata                 yes
    download                 signed links
    ranges                   no
    files_per_page           100
    newest_first             no
    checksums                sha256, md5
    rate                     3000 requests per 1 min

    dialect        signed: with owner and signing_secret set
    operations     also: create a link to a file
    link_lifetime  at least 1 s
    ");
    let rows = env.haul(["providers", "local", "--json"]).ok().json();
    assert_eq!(rows.len(), 2);
    check!(without_names(&env.haul(["providers", "xia"]), "providers", |_| true), @r#"
    status 3
    --- err
    error: unknown provider "xia"
    hint: did you mean `xai`?
    hint: providers: [platforms]
    "#);
}

#[test]
fn unsupported_operations_are_refused_before_any_request() {
    let env = Sandbox::new();
    env.write("a.txt", "a");
    let run = env.haul(["-p", "activeloop", "link", "x"]);
    check!(without_able(&run, "activeloop", |can| can.link.is_some()), @"
    status 5
    --- err
    error: activeloop cannot create a link to a file
    hint: to download the file: `haul get -p activeloop x`
    hint: supported by: [platforms]
    ");
    check!(env.haul(["-p", "replicate", "upload", "a.txt", "--expires", "1h"]), @"
    status 5
    --- err
    error: replicate does not support a lifetime for a file
    hint: remove `--expires`
    ");
    check!(env.haul(["-p", "xai", "upload", "a.txt", "--metadata", "a=b", "--json"]), @r#"
    status 5
    --- out
    []
    --- err
    {"error":{"kind":"unsupported","exit_code":5,"message":"xai does not support metadata","details":[],"hints":["remove `--metadata`"],"request_id":null,"ref":"a.txt"}}
    "#);
}
