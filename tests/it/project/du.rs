use std::sync::Arc;

use haul::model::Clock;
use serde_json::{Value, json};

use crate::platforms::{cases, dialects, some};
use crate::support::connection::Profile;
use crate::support::emulator::Emulator;
use crate::support::rig::{Case, Rig, TOKEN};
use crate::support::sandbox::Sandbox;

#[test]
fn files_are_counted_in_groups() {
    let mut env = Sandbox::new();
    for (now, name, content, options) in [
        ("2026-02-01T00:00:00Z", "docs/a.txt", "12345", &[][..]),
        ("2026-03-01T00:00:00Z", "docs/b.pdf", "123", &["--expires", "30d"]),
        ("2026-03-02T00:00:00Z", "c.txt", "1", &["--expires", "9d", "--purpose", "batch"]),
    ] {
        env.set("HAUL_NOW", now);
        env.write("source", content);
        env.haul([&["upload", "source", "--name", name][..], options].concat()).ok();
    }
    env.set("HAUL_NOW", "2026-03-10T12:00:00Z");
    let du = |more: &[&str]| env.haul([&["du", "--json"], more].concat()).ok().json();
    let total = du(&[]);
    assert_eq!(
        total,
        [json!({
            "profile": "local", "group": null, "files": 3, "bytes": 9, "unsized_files": 0,
            "oldest_at": "2026-02-01T00:00:00Z", "newest_at": "2026-03-02T00:00:00Z",
            "expiring_files": 2, "first_expires_at": "2026-03-11T00:00:00Z",
            "quota": null, "quota_bytes": null, "quota_files": null,
        })]
    );
    for (by, expected) in [
        ("type", json!([["application/pdf", 1], ["text/plain", 2]])),
        ("month", json!([["2026-02", 1], ["2026-03", 2]])),
        ("prefix", json!([["docs/", 2], [null, 1]])),
        ("purpose", json!([["batch", 1], [null, 2]])),
        ("expiry", json!([["within 24 h", 1], ["within 30 d", 1], [null, 1]])),
    ] {
        let rows = du(&["--by", by]);
        let groups: Vec<Value> = rows.iter().map(|row| json!([row["group"], row["files"]])).collect();
        assert_eq!(json!(groups), expected, "{by}");
    }
    let parts = du(&["local:docs/*", "local:", "--filter", "size > 1"]);
    assert_eq!(parts.iter().map(|row| &row["files"]).collect::<Vec<_>>(), [&json!(2), &json!(2)]);
    env.haul(["du", "local"]).fails(2).says("haul du local:");
    let mut other = env;
    other.set("HAUL_REPLICATE_TOKEN", "t");
    other.haul(["du", "replicate:", "--by", "purpose"]).fails(5).says("cannot group by it");
}

#[test]
fn the_published_quota_is_shown() {
    let quotas = some(cases().filter(Case::is_remote)).into_iter().filter_map(|case| {
        let served = Arc::new(Emulator::start(&case.setup(Clock(None))));
        let rig = Rig::on(case, Arc::clone(&served));
        let quota = rig.provider.quota()?;
        let mut env = Sandbox::new().with_real_clock();
        env.use_platform(&case, &served.base(case.provider), TOKEN);
        rig.put("a.txt", "12345");
        let row = env.haul(["du", "--json"]).ok().json().remove(0);
        assert_eq!(row["quota_bytes"], json!(quota.bytes), "{}", case.name());
        let text = row["quota"].as_str().unwrap().to_owned();
        assert!(text.starts_with("5 B / ") && text.ends_with(quota.per), "{}: {text}", case.name());
        let filtered = env.haul(["du", "--json", "--filter", "name = 'a.txt'"]).ok().json().remove(0);
        assert!(filtered["quota"].is_null() && filtered["quota_bytes"].is_null(), "{}", case.name());
        Some(text)
    });
    assert!(quotas.count() > 0);
    // Facts about a vendor's files do not hold for other servers with its API.
    let own = |case: &Case| {
        let base_url = case.spec().base_url.parse().unwrap();
        let profile = Profile { token: Some(TOKEN), ..Profile::new(case.spec(), &base_url) };
        profile.open().ok()?.quota()
    };
    assert!(
        some(dialects().filter(Case::is_remote)).iter().filter_map(own).any(|quota| quota.files.is_some())
    );
}
