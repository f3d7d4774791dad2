//! Compares the evaluator of filters with a naive implementation.

use haul::filter::{Comparison, Equality, Expr, Filter, Op, Value};
use haul::model::File;
use proptest::prelude::*;

use crate::properties::filter::{file, filter, word};
use crate::properties::holds::holds;
use crate::support::naive::{glob_matches, has, matches_filter};

#[test]
fn the_evaluator_agrees_with_a_naive_one() {
    holds("filter: the evaluator agrees with a naive one", (filter(), file()), |(filter, file)| {
        let json = serde_json::to_value(&file).unwrap();
        let expected = matches_filter(&filter.expr, &json);
        prop_assert_eq!(filter.matches_as(&file, Equality::Exact), expected, "{} of {}", filter, json);
        Ok(())
    });
}

#[test]
fn patterns_agree_with_exhaustive_matching() {
    let pattern = prop_oneof!["[a-c*?\\[\\]!^\\\\-]{0,8}", "[ab]{0,3}\\*[ab]{0,3}\\*[ab]{0,3}", ".{0,4}"];
    let text = prop_oneof!["[a-c*?\\[\\]!^\\\\-]{0,8}", "[ab]{0,9}", ".{0,4}"];
    holds("filter: patterns agree with exhaustive matching", (pattern, text), |(pattern, text)| {
        let value = Value::Text(pattern.clone());
        let glob = Expr::Compare(Comparison { field: "name".to_owned(), op: Op::Glob, value });
        let file = File { name: text.clone(), ..File::default() };
        let expected = glob_matches(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>());
        prop_assert_eq!(Filter { expr: glob }.matches(&file), expected, "{:?} ~ {:?}", text, pattern);
        Ok(())
    });
}

#[test]
fn substrings_are_found_regardless_of_case() {
    let letters = "[aAßſKİiıÅåéÉ\u{212a}\u{3a3}\u{3c2}\u{3c3}*x]{0,6}";
    holds(
        "filter: `:` agrees with full case folding",
        (letters, prop_oneof![letters.boxed(), word().boxed()]),
        |(text, want)| {
            let expr = Expr::Compare(Comparison {
                field: "name".to_owned(),
                op: Op::Has,
                value: Value::Text(want.clone()),
            });
            let file = File { name: text.clone(), ..File::default() };
            prop_assert_eq!(Filter { expr }.matches(&file), has(&text, &want), "{:?} : {:?}", text, want);
            Ok(())
        },
    );
}
