//! The quoted measurements: they are in the table of `docs/speed.md`.

use std::fs;

use crate::support::generated::root;

/// The cells of a table's row.
fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split(" | ").map(str::trim).collect()
}

/// The ratio in a cell such as `**0.28** ≤ 0.4`.
fn ratio(cell: &str) -> &str {
    cell.split("**").nth(1).unwrap()
}

/// The work and the ratio to the first peer, of each row of the table in `docs/speed.md`.
fn measured(text: &str) -> Vec<[&str; 2]> {
    let rows = text.split("<!-- measured: speed -->").nth(1).unwrap().lines();
    let rows = rows.skip_while(|row| !row.contains("---")).skip(1).take_while(|row| row.starts_with('|'));
    let rows = rows.map(cells).filter(|cells| !cells[0].is_empty() && cells[5].contains("**"));
    rows.map(|cells| [cells[0], ratio(cells[5])]).collect()
}

#[test]
fn the_readme_quotes_measured_ratios() {
    let speed = fs::read_to_string(root().join("docs/speed.md")).unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let readme: Vec<&str> = readme.split_whitespace().collect();
    let (readme, measured) = (readme.join(" "), measured(&speed));
    for (quoted, work) in [
        ("start", "`haul --version`"),
        ("a listing", "`haul ls`, one page of 100"),
        ("1 GiB up", "1024 MiB up"),
        ("1 GiB down", "1024 MiB down"),
        ("5,000 small files", "5000 × 4 KiB up, 8 in flight"),
    ] {
        let [_, ratio] = measured.iter().find(|row| row[0] == work).unwrap();
        assert!(readme.contains(&format!("{quoted} {ratio}")), "{quoted}: {ratio}");
    }
}

#[test]
fn the_summary_has_measured_ratios() {
    let speed = fs::read_to_string(root().join("docs/speed.md")).unwrap();
    let measured = measured(&speed);
    let summary = speed.split("## In short").nth(1).unwrap().split("## ").next().unwrap();
    let rows = summary.lines().filter(|line| line.contains("cargo bench")).map(cells);
    let mut count = 0;
    for row in rows {
        let words = row[2].trim_matches('`').rsplit(" -- ").next().unwrap().trim_matches('"');
        let ratios: Vec<&str> = measured
            .iter()
            .filter(|measured| measured[0].contains(words))
            .map(|measured| measured[1])
            .collect();
        for quoted in row[1].split(" to ").filter(|quoted| *quoted != "–") {
            assert!(ratios.contains(&quoted), "{row:?}: the ratios are {ratios:?}");
            count += 1;
        }
    }
    assert!(count >= 10, "{count}");
}
