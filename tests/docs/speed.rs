//! The quoted measurements: they are in the table of `docs/speed.md`.

use std::fs;

use crate::support::generated::root;

const HEADER: &str = "| work | haul | compared with | other | ratio |";

/// The cells of a table's row.
fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split(" | ").map(str::trim).collect()
}

/// The ratio in a cell such as `**0.28** ≤ 0.4`.
fn ratio(cell: &str) -> &str {
    cell.split("**").nth(1).unwrap()
}

/// The rows of the table in `docs/speed.md` that name the work: the work, haul's time, the peer, its time and the ratio.
fn measured(text: &str) -> Vec<[&str; 5]> {
    let rows =
        text.split("<!-- measured: speed -->").nth(1).unwrap().lines().skip_while(|row| !row.contains("---"));
    let rows = rows.skip(1).take_while(|row| row.starts_with('|')).map(cells);
    let rows = rows.filter(|cells| !cells[0].is_empty() && cells[5].contains("**"));
    rows.map(|cells| [cells[0], cells[1].split(" ≤ ").next().unwrap(), cells[3], cells[4], ratio(cells[5])])
        .collect()
}

#[test]
fn the_readme_quotes_five_measured_rows() {
    let speed = fs::read_to_string(root().join("docs/speed.md")).unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let measured = measured(&speed);
    let quoted =
        readme.lines().skip_while(|line| *line != HEADER).skip(2).take_while(|line| line.starts_with('|'));
    let quoted: Vec<_> = quoted.map(cells).collect();
    assert_eq!(quoted.len(), 5);
    for row in quoted {
        assert!(
            measured.iter().any(|measured| measured[..] == row[..]),
            "{row:?} was not measured: {measured:#?}"
        );
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
            .map(|measured| measured[4])
            .collect();
        for quoted in row[1].split(" to ").filter(|quoted| *quoted != "–") {
            assert!(ratios.contains(&quoted), "{row:?}: the ratios are {ratios:?}");
            count += 1;
        }
    }
    assert!(count >= 10, "{count}");
}
