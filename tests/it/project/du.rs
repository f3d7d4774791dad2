use serde_json::{Value, json};

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
